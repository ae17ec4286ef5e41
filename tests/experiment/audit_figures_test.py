"""Tests an audit's figures against values known by hand or published, and that its
images and ledgers are read as the peers read and write them."""
import gzip
import json
import math
import struct
import unittest

import numpy

import support
from mdgan_experiment.audit import canaries, figures, images, ledger
from mdgan_experiment.definition import Refused


class Figures(unittest.TestCase):
    def test_auc_counts_pairs_and_halves_equal_ones(self):
        # Of six pairs four are right; then one more is equal.
        self.assertAlmostEqual(figures.auc(numpy.array([1, 2, 3.0]),
                                           numpy.array([0, 2.5])), 4 / 6)
        self.assertAlmostEqual(figures.auc(numpy.array([1, 2.5, 3]),
                                           numpy.array([0, 2.5])), 4.5 / 6)
        self.assertEqual(figures.auc(numpy.zeros(3), numpy.zeros(5)), 0.5)
        self.assertEqual(figures.auc(numpy.ones(3), numpy.zeros(5)), 1)

    def test_the_area_below_the_curve_is_the_auc(self):
        random = numpy.random.default_rng(1)
        members = random.integers(1, 9, 300).astype(float)  # with equal ones
        others = random.integers(0, 8, 200).astype(float)
        wrong, right = figures.curve(members, others)
        area = (numpy.diff(wrong) * (right[1:] + right[:-1]) / 2).sum()
        self.assertAlmostEqual(area, figures.auc(members, others))

    def test_an_interval_of_one_pair_is_wilsons(self):
        z2 = figures.Z ** 2
        low, high = figures.auc_interval(1, 1, 1)
        self.assertAlmostEqual(low, 1 / (1 + z2))
        self.assertEqual(high, 1)
        low, high = figures.auc_interval(0, 1, 1)
        self.assertEqual(low, 0)
        self.assertAlmostEqual(high, z2 / (1 + z2))

    def test_a_certain_attack_on_few_images_has_no_point_for_an_interval(self):
        self.assertLess(figures.auc_interval(1, 10, 10)[0], 0.9)
        low, high = figures.auc_interval(0.5, 30, 30)
        self.assertAlmostEqual(low + high, 1)

    def test_intervals_have_the_true_auc_in_them_as_often_as_they_say(self):
        random = numpy.random.default_rng(2)
        truth = 0.5 * (1 + math.erf(1 / 2))  # of N(1, 1) over N(0, 1)
        held = 0
        for _ in range(500):
            value = figures.auc(random.normal(1, 1, 40), random.normal(0, 1, 50))
            low, high = figures.auc_interval(value, 40, 50)
            held += low <= truth <= high
        # Of 500 at 95 % these are four standard deviations.
        self.assertGreaterEqual(held, 475 - 4 * math.sqrt(500 * 0.95 * 0.05))
        self.assertLess(held, 500)

    def test_shares_have_clopper_and_pearsons_intervals(self):
        for count, low, high in ((0, 0, 1 - 0.025 ** 0.1), (5, 0.18709, 0.81291),
                                 (10, 0.025 ** 0.1, 1)):
            found = figures.share_interval(count, 10)
            self.assertAlmostEqual(found[0], low, 5)
            self.assertAlmostEqual(found[1], high, 5)

    def test_a_rate_is_that_of_the_allowed_false_alarms(self):
        others = numpy.arange(200.0)
        # Two of 200 may be wrong: 198 and 199, so what is above 197 is taken.
        members = numpy.array([0, 197, 197.5, 1000])
        self.assertEqual(figures.rate_at(members, others, 0.01).value, 0.5)
        self.assertEqual(figures.rate_at(members, others, 0.005).value, 0.25)
        self.assertIsNone(figures.rate_at(members, others, 0.001))
        # Of equal scores all or none are taken.
        self.assertEqual(figures.rate_at(numpy.ones(9), numpy.ones(200), 0.01).value,
                         0)


class Epsilon(unittest.TestCase):
    def test_the_bound_is_the_published_one(self):
        # Steinke, Nasr and Jagielski 2023: appendix D, and section 7.
        for canaries_, guesses, right, delta, published, digit in (
                (100, 100, 75, 0, 0.702, 1e-3), (100, 100, 75, 1e-4, 0.699, 1e-3),
                (1000, 100, 75, 1e-4, 0.673, 1e-3),
                (100000, 1510, 1439, 1e-5, 2.675, 1e-3)):
            with self.subTest(right):
                found = figures.epsilon_bound(canaries_, guesses, right, delta)
                self.assertLess(abs(found - published), digit)
        self.assertAlmostEqual(figures.p_value(100, 100, 75, math.log(3), 0), 0.553,
                               3)

    def test_of_right_guesses_alone_it_is_the_closed_form(self):
        for guesses in 10, 100, 1000:
            q = figures.LEVEL ** (1 / guesses)
            self.assertAlmostEqual(
                figures.epsilon_bound(guesses, guesses, guesses, 0),
                math.log(q / (1 - q)), 6)
        self.assertEqual(figures.epsilon_bound(100, 100, 50, 0), 0)

    def test_an_audit_takes_the_best_of_numbers_that_stand_before(self):
        scores = numpy.concatenate((numpy.arange(100.0) + 1000,
                                    numpy.random.default_rng(3).random(800),
                                    -numpy.arange(100.0)))
        is_in = numpy.arange(1000) % 2 == 0
        is_in[:100], is_in[900:] = True, False
        found = figures.audit(scores, is_in, 0)
        self.assertEqual((found.guesses, found.right), (200, 200))
        q = (figures.LEVEL / len(figures.GUESSED)) ** (1 / 200)
        self.assertAlmostEqual(found.epsilon, math.log(q / (1 - q)), 6)

    def test_equal_scores_are_not_told_apart_by_their_order(self):
        # Nobody is guessed twice, whatever the number.
        odd = figures.audit(numpy.arange(43), numpy.arange(43) > 20, 0)
        self.assertEqual((odd.canaries, odd.guesses), (43, 42))
        self.assertEqual(figures.audit(numpy.zeros(1000),
                                       numpy.arange(1000) < 500, 0).epsilon, 0)

    def test_guessing_breaks_no_promise_of_nothing_more_often_than_it_may(self):
        random = numpy.random.default_rng(4)
        broken = sum(figures.audit(random.random(200), random.random(200) < 0.5,
                                   0).epsilon > 0 for _ in range(300))
        self.assertLess(broken, 300 * figures.LEVEL + 4 * math.sqrt(
            300 * figures.LEVEL))

    def test_the_ledgers_epsilon_is_the_published_one(self):
        for rate, noise, steps, published in (
                (128 / 60000, 1.0, 450000, 10.11), (0.01, 1.0, 20000, 10.09),
                (0.01, 1.5, 20000, 5.11), (256 / 60000, 1.1, 14063, 2.60)):
            self.assertLess(abs(ledger.epsilon_of([(rate, noise, steps)], 1e-5)
                                - published), 0.0051)
        self.assertEqual(ledger.epsilon_of([(0.1, 1.0, 0)], 1e-5), 0)
        # Charges add up, whatever the cut.
        self.assertAlmostEqual(
            ledger.epsilon_of([(0.01, 1.0, 5000)] * 4, 1e-5),
            ledger.epsilon_of([(0.01, 1.0, 20000)], 1e-5))


class Folders(support.InFolder):
    def setUp(self):
        super().setUp()
        random = numpy.random.default_rng(5)
        self.pixels = random.integers(0, 256, (200, 4, 6)).astype("u1")
        self.labels = random.integers(0, 10, 200).astype("u1")
        images.write_idx(self.folder / "data/train-images-idx3-ubyte", self.pixels)
        (self.folder / "data/train-labels-idx1-ubyte.gz").write_bytes(
            gzip.compress(struct.pack(">4BI", 0, 0, 8, 1, 200)
                          + self.labels.tobytes()))

    def prepare(self, out="made", names=("north", "south"), each=100, coins=80,
                seed=1):
        return canaries.prepare(self.folder / "data", self.folder / out, names, each,
                                coins, seed)

    def bytes_in(self, *parts):
        return [p.tobytes() for p in
                images.read(self.folder.joinpath(*parts)).pixels]

    def test_each_image_is_where_the_coin_says(self):
        record = self.prepare()
        self.assertEqual(canaries.load(self.folder / "made"), record)
        everywhere = []
        for name, site in record["sites"].items():
            train, members, others = (
                self.bytes_in("made", name, part)
                for part in ("train", "members", "non-members"))
            self.assertEqual(len(members) + len(others), 80)
            self.assertEqual(len(train), 20 + len(members))
            self.assertEqual(site["trained"], len(train))
            self.assertFalse({*members} - {*train})
            self.assertFalse({*others} & {*train})
            # 80 coins: within four standard deviations.
            self.assertLess(abs(len(members) - 40), 4 * math.sqrt(20))
            everywhere += train + others
        self.assertEqual(len({*everywhere}), 200)  # no image at two sites
        label_of = {p.tobytes(): label for p, label in
                    zip(self.pixels[:, None], self.labels)}
        made = images.read(self.folder / "made/north/train")
        self.assertEqual([label_of[p.tobytes()] for p in made.pixels],
                         made.labels.tolist())

    def test_the_same_seed_throws_the_same_coins(self):
        self.prepare("a"), self.prepare("b"), self.prepare("c", seed=2)
        a, b, c = (self.bytes_in(out, "north", "members") for out in "abc")
        self.assertEqual(a, b)
        self.assertNotEqual(a, c)

    def test_what_cannot_be_made_is_refused_and_leaves_nothing(self):
        self.prepare()
        for words, named in (({"each": 101}, "has 200"), ({"coins": 101}, "101"),
                             ({"coins": 5}, "5 canaries"),
                             ({"names": ("a", "a")}, "same name"),
                             ({"names": ("../a",)}, "'../a'"), ({}, "there already")):
            out = "made" if not words else "other"
            with self.subTest(named), self.assertRaisesRegex(Refused, named):
                self.prepare(out, **words)
            self.assertFalse((self.folder / "other").exists())
        (self.folder / "data/train-images-idx3-ubyte").write_bytes(b"\0\0\x08\3ab")
        with self.assertRaisesRegex(Refused, "no IDX file"):
            self.prepare("other")

    def test_folders_of_image_files_stay_such(self):
        try:
            from PIL import Image
        except ImportError:
            self.skipTest("Pillow is missing")
        for i in range(60):
            path = self.folder / f"pictures/{'cat' if i % 3 else 'dog'}/{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(self.pixels[i]).save(path)
        canaries.prepare(self.folder / "pictures", self.folder / "made", ["a"], None,
                         None, 1)
        made = images.read(self.folder / "made/a/train")
        self.assertEqual(made.classes, ["cat", "dog"])
        name_of = {self.pixels[i].tobytes(): "cat" if i % 3 else "dog"
                   for i in range(60)}
        self.assertEqual([name_of[p.tobytes()] for p in made.pixels],
                         [made.classes[label] for label in made.labels])
        self.assertEqual(made.numbered_by(["dog", "cat"]).tolist(),
                         (1 - made.labels).tolist())
        # A palette's numbers are not the pixels that a peer has.
        alone = self.folder / "palette"
        alone.mkdir()
        Image.fromarray(self.pixels[0]).convert("P").save(alone / "0.png")
        with self.assertRaisesRegex(Refused, "is not grey or RGB"):
            images.read(alone)
        with self.assertRaisesRegex(Refused, "dog besides"):
            made.numbered_by(["cat", "fox"])

    def test_ledgers_are_found_by_their_images(self):
        pixels = self.pixels[:, None]
        # As common/privacy/ledger_book.cc makes them: a number's hexadecimal digits.
        digits = "".join(support.ledger_digits(p) for p in pixels[:50])
        folder = self.folder / "state/privacy"
        folder.mkdir(parents=True)
        (folder / "0.json").write_text(json.dumps({
            "schema": 1, "images": digits,
            "charges": [{"rate": 0.01, "noise": 1.0, "steps": 20000}]}))
        spent = ledger.spent(self.folder / "state", pixels[49:60], 1e-5)
        self.assertAlmostEqual(spent, 10.09, 2)
        self.assertIsNone(ledger.spent(self.folder / "state", pixels[50:], 1e-5))
        (folder / "1.json").write_text("{")
        with self.assertRaisesRegex(Refused, "1.json cannot be read"):
            ledger.spent(self.folder / "state", pixels, 1e-5)


if __name__ == "__main__":
    unittest.main()
