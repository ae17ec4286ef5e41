"""Tests intervals, tests of differences, and the verdicts that follow."""
import json
import unittest

import support
from mdgan_experiment import comparisons, report, student, wording
from mdgan_experiment.comparisons import NO_SPREAD, NOT_SHOWN, ONE_SEED, verdict
from mdgan_experiment.measurements import FID, Run


class Student(unittest.TestCase):
    def test_quantiles_are_those_of_the_tables(self):
        for freedom, t in ((1, 12.7062), (2, 4.3027), (4, 2.7764),
                           (10, 2.2281), (29, 2.0452), (1000, 1.9623)):
            self.assertAlmostEqual(student.quantile(freedom), t, 4)

    def test_tails_are_those_of_the_tables(self):
        for t, freedom, p in ((0, 3, 0.5), (1, 1, 0.25), (-1, 1, 0.75),
                              (2.015, 5, 0.05), (6.965, 2, 0.01)):
            self.assertAlmostEqual(student.above(t, freedom), p, 4)

    def test_an_interval_is_the_textbooks(self):
        low, high = student.interval([4.0, 6.0, 8.0])
        self.assertAlmostEqual(low, 6 - 4.3027 * 2 / 3**0.5, 3)
        self.assertAlmostEqual(high, 6 + 4.3027 * 2 / 3**0.5, 3)
        self.assertIsNone(student.interval([4.0]))

    def test_p_is_5_percent_where_the_interval_touches_0(self):
        a = [4.0, 6.0, 8.0]
        low = student.interval(a)[0]
        self.assertAlmostEqual(student.p_paired(a, [low] * 3), 0.05)
        # The upper bound of the 95 % interval is 2.5 % from below.
        high = student.interval(a)[1]
        self.assertAlmostEqual(student.p_equal(a, [high / 1.99] * 3, 0.99),
                               0.025)


class Verdicts(unittest.TestCase):
    def test_a_difference_is_told_where_its_interval_leaves_out_0(self):
        # 1 less each time, although the seeds differ by far more.
        a, b = [9.1, 19.0, 28.9], [10.0, 20.0, 30.0]
        for claim in "lower", "higher":
            self.assertEqual(verdict(a, b, claim, None), "lower")
            self.assertEqual(verdict(b, a, claim, None), "higher")
        self.assertEqual(verdict([9, 19, 32], [10, 20, 30], "lower", None),
                         NOT_SHOWN)

    def test_equality_needs_an_interval_within_the_margin(self):
        b = [10.0, 10.2, 9.9]
        self.assertEqual(verdict([10.05, 10.15, 9.95], b, "equal", 0.05),
                         "equal within 5 %")
        # No difference is shown, and no equality either.
        self.assertEqual(verdict([9.0, 11.0, 10.0], b, "equal", 0.05),
                         NOT_SHOWN)
        self.assertEqual(verdict([8.0, 8.1, 8.0], b, "equal", 0.05), "lower")

    def test_a_margin_of_a_claimed_difference_is_told_where_it_is_shown(self):
        b = [10.0, 10.2, 9.9]
        half = [4.0, 4.1, 4.0]
        self.assertEqual(verdict(half, b, "lower", 0.5),
                         "lower by more than 50 %")
        self.assertEqual(verdict(half, b, "lower", 0.7), "lower")
        self.assertEqual(verdict(b, half, "higher", 0.5),
                         "higher by more than 50 %")

    def test_a_margin_below_0_is_none(self):
        self.assertEqual(verdict([-0.7, -0.71], [-1.0, -1.01], "lower", 0.5),
                         NO_SPREAD if len({-0.7 + 1.0, -0.71 + 1.01}) == 1
                         else "higher")

    def test_one_seed_and_equal_differences_have_no_interval(self):
        self.assertEqual(verdict([1.0], [9.0], "lower", None), ONE_SEED)
        self.assertEqual(verdict([1.0, 2.0], [9.0, 10.0], "lower", None),
                         NO_SPREAD)


class Work(unittest.TestCase):
    def run_of(self, seed, values, images_a_round, features="f"):
        run = Run(seed, None, features=features, samples=100)
        run.evaluations = {r: {FID: v} for r, v in values.items()}
        last = max(values)
        run.seen = [(last, last * images_a_round)] if images_a_round else []
        return run

    def compare(self, arms, at="rounds", claim="lower"):
        return comparisons.compare(
            {"arms": ["a", "b"], "metric": "fid", "claim": claim,
             "margin": 0.05, "at": at}, arms)

    def arms(self, each=100):
        return {"a": [self.run_of(s, {10: 9.0 + s, 20: 5.0 + s, 30: 4.0 + s},
                                  5 * each) for s in (1, 2)],
                "b": [self.run_of(s, {20: 8.0 + 2 * s, 50: 4.5 + 1.5 * s},
                                  each) for s in (2, 1, 3)]}

    def test_equal_rounds_are_the_last_that_every_run_was_judged_at(self):
        result = self.compare(self.arms())
        self.assertEqual(result["rounds"], [20, 20])
        self.assertEqual(result["seeds"], [1, 2])  # a has no seed 3
        self.assertEqual(result["values"], [[6.0, 7.0], [10.0, 12.0]])
        self.assertEqual(result["images"], [10000, 2000])
        self.assertEqual(result["difference"], -4.5)

    def test_equal_images_are_other_rounds(self):
        result = self.compare(self.arms(), "images")
        self.assertEqual(result["rounds"], [10, 50])
        self.assertEqual(result["images"], [5000, 5000])
        self.assertEqual(result["values"], [[10.0, 11.0], [6.0, 7.5]])
        self.assertIn("10 and 50 rounds, 5,000 images", wording.work(result))

    def test_what_has_no_equal_images_is_not_compared(self):
        arms = self.arms()
        for run in arms["b"]:
            del run.evaluations[50]
        self.assertEqual(self.compare(arms, "images")["verdict"],
                         "not compared: no evaluations at equal images")
        self.assertEqual(self.compare(self.arms(0), "images")["verdict"],
                         "not compared: no evaluations at equal images")

    def test_other_features_are_not_compared(self):
        arms = self.arms()
        arms["a"][1].features = "others"
        self.assertIn("different features", self.compare(arms)["verdict"])

    def test_one_seed_has_a_difference_and_no_interval(self):
        arms = self.arms()
        del arms["a"][0]
        result = self.compare(arms)
        self.assertEqual(result["verdict"], ONE_SEED)
        self.assertEqual(result["difference"], -5.0)
        self.assertIsNone(result["interval"])
        self.assertIsNone(result["p"])


SIZES = """
[compare sizes]
arms = ten, one
metric = fid
claim = lower

[compare at-images]
arms = ten, one
metric = fid
claim = equal
margin = 5 %
at = images
"""


class Report(support.InFolder):
    def test_the_report_gives_every_comparison(self):
        # 83 and 86 against 65.5 and 68; ten peers see ten times the images.
        self.define(support.DEFINITION + SIZES)
        done = self.run_it()
        self.assertEqual(done.returncode, 0, done.stderr)
        made = json.loads((self.out / "report.json").read_text())
        self.assertEqual(made["comparisons"]["sizes"]["verdict"], "higher")
        text = (self.out / "report.md").read_text()
        self.assertIn("| sizes | FID: ten peers - one peer | 100 rounds, "
                      "10,000 and 1,000 images | +17.8 [+14.6, +20.9] | 0.009 "
                      "| higher |", text)
        self.assertIn("not compared: no evaluations at equal images", text)
        page = (self.out / "report.html").read_text()
        self.assertIn("What the seeds show", page)
        self.assertIn("<strong>higher</strong>", page)

    def test_one_seed_is_told(self):
        self.define(support.DEFINITION + SIZES)
        done = self.run_it("--seeds", "1")
        self.assertEqual(done.returncode, 0, done.stderr)
        text = (self.out / "report.md").read_text()
        self.assertIn("| +17.5 | – | one seed: no interval |", text)
        self.assertIn("| one seed |", text)

    def test_comparisons_may_change_and_those_of_other_arms_are_left_out(self):
        self.define()
        self.assertEqual(self.run_it().returncode, 0)
        self.assertNotIn("sizes", (self.out / "report.md").read_text())
        self.define(support.DEFINITION + SIZES)
        self.assertEqual(self.run_it().returncode, 0)
        self.assertIn("| sizes |", (self.out / "report.md").read_text())
        self.out = self.folder / "other"
        self.assertEqual(self.run_it("--arms", "one").returncode, 0)
        self.assertNotIn("sizes", (self.out / "report.md").read_text())

    def test_a_folder_of_an_earlier_version_is_reported(self):
        self.define()
        self.assertEqual(self.run_it().returncode, 0)
        file = self.out / "experiment.json"
        made = json.loads(file.read_text())
        del made["comparisons"]
        file.write_text(json.dumps(made))
        report.write(self.out)


if __name__ == "__main__":
    unittest.main()
