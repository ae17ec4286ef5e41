"""Audits runs whose discriminators are known to have learned their images by heart,
or not to have; the runs' files are written here."""
import contextlib
import hashlib
import io
import json
import os
import shutil
import struct
import sys
import unittest
from unittest import mock

import numpy

import support
from mdgan_experiment import cli
from mdgan_experiment.audit import attacks, figures, images
from mdgan_experiment.definition import Refused

try:
    torch, mdgan = attacks.modules()
except Refused as reason:
    print(f"SKIPPED: {reason}")
    sys.exit(77)
from mdgan.discriminators import DISCRIMINATORS  # noqa: E402
from mdgan.models import MODELS  # noqa: E402

torch.set_num_threads(1)
RUN = "0123456789abcdef" * 2
IMAGE = (1, 6, 6)
CLASSES = [str(i) for i in range(10)]


def safetensors(tensors):
    header, data = {}, b""
    for name, tensor in tensors.items():
        part = tensor.detach().numpy().tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape),
                        "data_offsets": [len(data), len(data) + len(part)]}
        data += part
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def save(folder, tensors, meta):
    """A checkpoint, as the programs write it."""
    folder.mkdir(parents=True)
    contents = {"state.safetensors": safetensors(tensors),
                "meta.json": json.dumps(meta).encode()}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / "manifest.json").write_text(json.dumps({"files": {
        name: {"bytes": len(content),
               "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in contents.items()}}))


def filled(model, *arguments):
    model = model(*arguments)
    model.to_empty(device="cpu")
    for tensor in model.parameters():
        torch.nn.init.normal_(tensor, 0, tensor.shape[-1] ** -0.5)
    return model


class Audited(support.InFolder):
    """Two sites of 100 images with 100 coins each, and a run of them."""

    def setUp(self):
        super().setUp()
        torch.manual_seed(1)
        random = numpy.random.default_rng(1)
        images.write_idx(self.folder / "data/train-images-idx3-ubyte",
                         random.integers(0, 256, (400, 6, 6)).astype("u1"))
        images.write_idx(self.folder / "data/train-labels-idx1-ubyte",
                         random.integers(0, 10, 400).astype("u1"))
        self.run_folder, self.state = self.folder / "run", self.folder / "state"
        self.call("canaries", self.folder / "made", "--data", self.folder / "data",
                  "--sites", "north,south", "--images", 200)
        self.save_run(self.run_folder, filled(MODELS["mlp"], IMAGE, 5, CLASSES, 1))

    def save_run(self, folder, generator):
        save(folder / "checkpoints/00000009",
             {f"generator.{name}": t for name, t in generator.state_dict().items()},
             {"completed": 9, "run": RUN, "model": "mlp", "condition": "projection",
              "image": [*IMAGE, 10], "classes": CLASSES})
        (folder / "config.ini").write_text("latent = 5\nseed = 7\n")
        (folder / "stats.jsonl").write_text(
            '{"round": 9, "seconds_per_round": 2}\n')

    def call(self, *words):
        """(exit code, what was said)"""
        said = io.StringIO()
        with mock.patch.object(sys, "argv", ["x", *map(str, words)]), \
                contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = cli.execute(cli.arguments())
        return code, said.getvalue()

    def trained(self, name, part, steps=60):
        """A discriminator that has learned a part's images by heart, as that of the
        site `name`: against noise it has seen as often."""
        own = images.read(self.folder / "made" / name / part)
        real = torch.from_numpy(images.normalised(own.pixels))
        labels = torch.from_numpy(own.labels)
        fake = torch.rand(len(real), *IMAGE) * 2 - 1
        d = filled(DISCRIMINATORS["mlp"], IMAGE, "projection", 10)
        optimiser = torch.optim.Adam(d.parameters(), 0.001)
        for _ in range(steps):
            loss = (torch.nn.functional.softplus(-d(real, labels))
                    + torch.nn.functional.softplus(d(fake, labels))).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        return d

    def save_peer(self, name, d, inside="", number=9):
        save(self.state / name / inside / RUN / f"{number:08}",
             {"discriminator": torch.cat([t.detach().flatten()
                                          for t in d.parameters()]),
              "adam.first_moment": torch.zeros(3)},
             {"adam_steps": 1, "discriminator": 1, "name": name})

    def save_ledger(self, name, steps):
        pixels = images.read(self.folder / "made" / name / "train").pixels
        folder = self.state / "privacy"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.json").write_text(json.dumps({
            "schema": 1, "images": "".join(map(support.ledger_digits, pixels)),
            "charges": [{"rate": 0.1, "noise": 2.0, "steps": steps}]}))

    def audit(self, *more):
        code, said = self.call("audit", self.folder / "made", "--run",
                               self.run_folder, "--state", self.state, "--samples",
                               200, "--out", self.out, *more)
        self.assertEqual(code, 0, said)
        self.report = (self.out / "report.md").read_text()
        return json.loads((self.out / "report.json").read_text())

    def test_a_discriminator_that_knows_its_images_is_told_from_one_that_does_not(
            self):
        self.save_peer("north", self.trained("north", "train"))
        # The south's was trained on images that no coin was thrown for.
        self.save_peer("south", self.trained("north", "non-members"))
        told = self.audit()
        sites = told["attacks"]["swap"]["sites"]
        self.assertGreater(sites["north"]["auc"], 0.9)
        low, high = sites["south"]["interval"]
        self.assertLess(low, 0.5)
        self.assertGreater(high, 0.5)
        self.assertGreater(told["sites"]["north"]["canaries"]["epsilon"], 1)
        # Three bounds are given, and six numbers of guesses were tried for each.
        north = told["sites"]["north"]["canaries"]
        self.assertAlmostEqual(north["epsilon"], figures.epsilon_bound(
            200, north["guesses"], north["right"], 1e-5, 0.05 / 3 / 6))
        self.assertEqual(told["sites"]["south"]["canaries"]["epsilon"], 0)
        self.assertEqual(told["attacks"]["asker"], told["attacks"]["swap"])
        # South's has learned to reject all that it was not shown.
        self.assertLess(told["about"]["south about north"], 0.2)
        self.assertGreater(told["about"]["north about north"], 0.9)
        # A generator that was not trained on anything tells nothing.
        low, high = told["attacks"]["generator"]["interval"]
        self.assertTrue(low < 0.5 < high)
        self.assertIn("By a discriminator in a swap membership leaks", self.report)
        self.assertIn("By the generator nothing was shown to leak", self.report)
        self.assertIn("The sites made no promise", self.report)
        self.assertIn("Training took 18.0 s", self.report)
        page = (self.out / "report.html").read_text()
        for text in ("membership leaks", "no ledger", "one seed"):
            self.assertIn(text, page)

    def test_a_generator_near_its_images_is_found_better_with_a_reference(self):
        for name in "north", "south":
            self.save_peer(name, filled(DISCRIMINATORS["mlp"], IMAGE, "projection",
                                        10))
        members = numpy.concatenate([images.normalised(images.read(
            self.folder / "made" / name / "members").pixels)
            for name in ("north", "south")])
        random = numpy.random.default_rng(2)
        # Images near a few members, and as many from anywhere.
        near = numpy.concatenate((
            members[:40] + random.normal(0, 0.05, members[:40].shape),
            random.uniform(-1, 1, (160, *IMAGE)))).astype(numpy.float32)
        far = random.uniform(-1, 1, (200, *IMAGE)).astype(numpy.float32)
        reference = self.folder / "reference"
        self.save_run(reference, filled(MODELS["mlp"], IMAGE, 5, CLASSES, 2))
        with mock.patch.object(attacks, "draw_samples",
                               side_effect=[(near, numpy.arange(200) % 10),
                                            (far, numpy.arange(200) % 10)]):
            told = self.audit("--reference", reference)["attacks"]
        self.assertGreater(told["generator"]["interval"][0], 0.5)
        self.assertGreater(told["calibrated"]["interval"][0], 0.5)

    def test_a_ledger_that_says_too_little_is_a_broken_promise(self):
        for name in "north", "south":
            self.save_peer(name, self.trained(name, "train"), inside="private")
            self.save_ledger(name, 1000)
        told = self.audit()
        self.assertLess(told["together"]["epsilon"],
                        told["sites"]["north"]["spent"])
        self.assertIn("The promise stands", self.report)
        self.assertNotIn("BROKEN", self.report)
        self.save_ledger("south", 1)
        told = self.audit()
        self.assertLess(told["sites"]["south"]["spent"], 1)
        self.assertIn("THE PROMISE IS BROKEN", self.report)
        # Also where another site has made none.
        shutil.rmtree(self.state / "north" / "private")
        (self.state / "privacy" / "north.json").unlink()
        self.save_peer("north", self.trained("north", "train"))
        told = self.audit()
        self.assertIsNone(told["sites"]["north"]["spent"])
        self.assertIn("THE PROMISE IS BROKEN", self.report)

    def test_what_does_not_belong_together_is_refused(self):
        base = ("audit", self.folder / "made", "--run", self.run_folder, "--state",
                self.state)

        def refused(words, *named):
            code, said = self.call(*words)
            self.assertEqual(code, 2, said)
            for name in named:
                self.assertIn(name, said)
        with mock.patch.object(cli, "discard"), \
                contextlib.redirect_stderr(io.StringIO()):
            refused(base, "no folder of a peer named north, south")
            self.save_peer("north", filled(DISCRIMINATORS["mlp"], IMAGE, "none", 10))
            refused(base, "'discriminator' of mlp should be")
            refused((*base, "--samples", 1), "--samples is 1")
            refused((*base, "--delta", 2), "--delta is 2")
            refused((*base[:2], "--run", self.state, *base[4:]), str(self.state))
            refused(("canaries", self.folder / "made", "--data",
                     self.folder / "data"), "is there already")


class Attacks(unittest.TestCase):
    def test_the_nearest_sample_is_found(self):
        random = numpy.random.default_rng(3)
        x = random.random((1500, 2, 3)).astype("f4")
        samples = random.random((70, 2, 3)).astype("f4")
        groups = random.integers(0, 3, 1500), random.integers(0, 3, 70)
        all_distances = numpy.sqrt(
            ((x[:, None] - samples[None]) ** 2).sum((2, 3)))
        places, distances = attacks.nearest(x, samples)
        numpy.testing.assert_allclose(distances, all_distances.min(1), rtol=1e-5)
        places, distances = attacks.nearest(x, samples, groups)
        self.assertTrue((groups[1][places] == groups[0]).all())
        all_distances[groups[0][:, None] != groups[1]] = numpy.inf
        numpy.testing.assert_allclose(distances, all_distances.min(1), rtol=1e-5)

    def test_of_a_linear_discriminator_a_listener_knows_the_verdict_exactly(self):
        torch.manual_seed(1)
        linear = torch.nn.Linear(6, 1)

        def judge(images_, labels):
            return linear(images_.flatten(1))[:, 0] + labels
        random = numpy.random.default_rng(4)
        x, samples = (random.random((n, 1, 2, 3)).astype("f4") for n in (50, 20))
        labels, others = (random.integers(0, 2, n) for n in (50, 20))
        numpy.testing.assert_allclose(
            attacks.listener_scores(judge, x, labels, samples, others),
            attacks.logits(judge, x, labels), rtol=1e-4, atol=1e-5)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    unittest.main()
