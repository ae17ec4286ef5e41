"""Tests that python/mdgan draws what the server draws, in every architecture: as a
module, scripted, and as ONNX.

  pictures_test.py FOLDER_OF_MDGAN_SERVER
"""
import contextlib
import io
import os
import pathlib
import re
import runpy
import subprocess
import sys
import tempfile
import unittest
import warnings
from unittest import mock

import support
import torch

import mdgan
from mdgan import sampling

try:
    import numpy
    from PIL import Image
except ImportError:
    print("SKIPPED: NumPy or Pillow (Debian's python3-numpy, python3-pil) is missing")
    sys.exit(support.SKIPPED)
SERVER = pathlib.Path(sys.argv[1], "mdgan-server").resolve()
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
# Fast and coarse steps, so that pictures have dark and bright parts and are not
# those of the first weights, which are all grey.
COARSE = ["--local-peers", "1", "--batch", "2", "--local-steps", "1",
          "--checkpoint-every", "0", "--samples-every", "0", "--lr-g", "0.01",
          "--swap-epochs", "0", "--k", "1", "--r1", "0", "--seed", "11"]
# model, condition, channels, (height, width), latent, rounds, ema
CASES = (("mlp", "acgan", 1, (8, 12), 7, 2, 0.5),
         ("mnist-cnn", "projection", 1, (8, 12), 7, 2, 0.5),
         ("cifar10-cnn", "none", 3, (8, 16), 5, 2, 0.5),
         ("dcgan", "acgan", 3, (64, 64), 6, 3, 0.5),
         ("resnet", "projection", 3, (32, 32), 6, 1, 0),
         ("r3gan", "acgan", 3, (32, 32), 6, 3, 0))
CLASSES = ["cats", "dogs", "7"]


def run(*command):
    done = subprocess.run([str(part) for part in command], env=ENVIRONMENT,
                          capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise AssertionError(f"{command} gave {done.returncode}:\n"
                             f"{done.stdout}{done.stderr}")
    return done.stdout


def pixels(file):
    with Image.open(file) as image:
        return numpy.asarray(image).astype(int)


def onnx_images(file, arguments):
    """What a reader of ONNX other than PyTorch computes; None where none is there
    that can in time."""
    named = {name: part.numpy() for name, part in zip(("z", "labels"), arguments)}
    try:
        import onnxruntime
        session = onnxruntime.InferenceSession(
            str(file), providers=["CPUExecutionProvider"])
    except ImportError:
        try:
            from onnx.reference import ReferenceEvaluator
        except ImportError:
            return None
        if os.path.getsize(file) > 4 << 20:  # it takes minutes for convolutions
            return None
        session = ReferenceEvaluator(str(file))
    return torch.from_numpy(session.run(None, named)[0])


def first_latents(count, seed):
    """[1, count]: of the first batch of the first round, by the stream that
    common/base/random.h has for it."""
    def mix(x):
        x = (x + 0x9E3779B97F4A7C15) & sampling.MASK64
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & sampling.MASK64
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB & sampling.MASK64
        return x ^ (x >> 31)
    latents = 1  # what the stream is for
    with mock.patch.object(sampling, "SAMPLE_GRID", latents), mock.patch.object(
            sampling, "_key_of", lambda _: mix(mix(seed ^ (latents << 48)) ^ 1)):
        return torch.tensor(sampling.normals(count, seed)).reshape(1, count)


class Pictures(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.runs, cls.pictures = {}, {}

    def data(self, channels, size):
        """A folder of noise, one folder a class."""
        folder = self.folder / f"data-{channels}-{size[0]}x{size[1]}"
        random = numpy.random.default_rng(1)
        for name in CLASSES if not folder.exists() else ():
            (folder / name).mkdir(parents=True)
            for i in range(3):
                noise = random.integers(0, 256, (*size, channels)).astype("u1")
                Image.fromarray(noise if channels == 3 else noise[:, :, 0]).save(
                    folder / name / f"{i}.png")
        return folder

    def trained(self, case):
        if case not in self.runs:
            model, condition, channels, size, latent, rounds, ema = case
            folder = self.folder / f"run-{len(self.runs)}"
            run(SERVER, "train", "--run-dir", folder, "--data",
                self.data(channels, size), "--model", model, "--condition",
                condition, "--latent", latent, "--rounds", rounds, "--ema", ema,
                *COARSE)
            self.runs[case] = folder
        return self.runs[case]

    def servers_picture(self, case):
        """The server's grid of five pictures from the run's own seed."""
        if case not in self.pictures:
            file = self.folder / "server.png"
            run(SERVER, "sample", "--run", self.trained(case), "--count", 5,
                "--out", file)
            self.pictures[case] = pixels(file)
        return self.pictures[case]

    def alike(self, ours, theirs, named):
        """Sums in another order may differ where a value is rounded to 8 bits."""
        # Above the server's stand the names of classes.
        margin = len(theirs) - len(ours)
        self.assertEqual(margin > 0 and (theirs[:margin] == 0).any(), named)
        theirs = theirs[margin:]
        self.assertEqual(ours.shape, theirs.shape)
        self.assertLessEqual(abs(ours - theirs).max(), 1)
        self.assertLess((ours != theirs).mean(), 0.01)

    def test_pictures_are_the_servers(self):
        for case in CASES:
            with self.subTest(case):
                _, condition, channels, size, latent, _, _ = case
                model = mdgan.load(self.trained(case))
                self.assertEqual(
                    (model.latent, model.image_shape, sorted(model.classes)),
                    (latent, (channels, *size),
                     sorted(CLASSES) if condition != "none" else []))
                images = mdgan.sample(model, 5)
                columns = mdgan.columns_of(5, len(model.classes))
                self.alike(
                    mdgan.grid(images, columns).numpy().astype(int).squeeze(),
                    self.servers_picture(case), condition != "none")
                # Else a model that draws grey would pass, too, and one that does
                # not look at its latents.
                self.assertGreater(mdgan.to_bytes(images).float().std(), 10)
                self.assertGreater((images[0] - images[3]).abs().max(), 0.1)

    def test_scripted_it_draws_the_same(self):
        for case in CASES:
            with self.subTest(case):
                model = mdgan.load(self.trained(case))
                file = self.folder / "scripted.pt"
                torch.jit.script(model).save(str(file))
                scripted = torch.jit.load(str(file))
                for count in (1, 5, 5):  # from the second on it is fused
                    arguments = mdgan.inputs(model, count, seed=3)
                    with torch.no_grad():
                        self.assertLess((scripted(*arguments) - model(*arguments))
                                        .abs().max(), 1e-5)
                difference = mdgan.sample(scripted, 5, seed=4) - \
                    mdgan.sample(model, 5, seed=4)
                self.assertLess(difference.abs().max(), 1e-5)

    def test_as_onnx_it_draws_the_same(self):
        checked = 0
        for case in CASES:
            with self.subTest(case):
                model = mdgan.load(self.trained(case))
                arguments = mdgan.inputs(model, 2)
                names = ["z", "labels"][:len(arguments)]
                file = self.folder / "generator.onnx"
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # PyTorch 1.13 has many
                    torch.onnx.export(
                        model, arguments, str(file), input_names=names,
                        output_names=["images"], dynamic_axes={
                            name: {0: "n"} for name in (*names, "images")})
                arguments = mdgan.inputs(model, 5, seed=3)
                images = onnx_images(file, arguments)
                if images is not None:
                    checked += 1
                    expected = mdgan.sample(model, 5, seed=3)
                    self.assertEqual(images.shape, expected.shape)
                    self.assertLess((images - expected).abs().max(), 1e-4)
        if checked < len(CASES):
            support.skip_part(
                f"reading {len(CASES) - checked} of {len(CASES)} ONNX files, which "
                "were written: onnxruntime is missing")

    def test_discriminators_judge_as_the_peers_do(self):
        """By the generator's loss of the first round, of one image: it is that of the
        generator before the round, judged by the discriminator after it."""
        for model, condition, channels, size, latent, *_ in CASES:
            if condition == "acgan":  # whose loss is of classes, too
                condition = "none"
            with self.subTest(model):
                folder = self.folder / f"judged-{model}"
                run(SERVER, "train", "--run-dir", folder, "--data",
                    self.data(channels, size), "--model", model, "--condition",
                    condition, "--latent", latent, *COARSE, "--rounds", 1, "--batch",
                    1, "--stats-every", 1, "--lr-d", "0.001")
                table = mdgan.stats(folder, frame=False)
                generator = mdgan.load(folder, round=0, ema=False).train()
                peer, = (folder / "peers").iterdir()
                judge = mdgan.load_discriminator(peer, folder)
                self.assertEqual(judge.round, 1)
                z = first_latents(latent, seed=11)
                losses = []
                for label in range(len(CLASSES) if condition != "none" else 1):
                    y = torch.tensor([label])
                    with torch.no_grad():
                        image = generator(z, y) if generator.conditional \
                            else generator(z)
                        losses.append(torch.nn.functional.softplus(
                            -judge(image, y)).item())
                error = min(abs(loss - table[0]["g_loss"]) for loss in losses)
                self.assertLess(error, 1e-5, f"{losses} {table[0]['g_loss']}")

    def test_an_export_and_classes_by_name(self):
        folder = self.trained(CASES[0])
        file = self.folder / "generator.safetensors"
        for weights in ("generator", "ema"):
            run(SERVER, "export", "--run", folder, "--out", file, "--weights",
                weights)
            ours = mdgan.load(file).state_dict()
            theirs = mdgan.load(folder, ema=weights == "ema").state_dict()
            self.assertEqual(list(ours), list(theirs))
            for name in ours:
                self.assertTrue(torch.equal(ours[name], theirs[name]), name)
        seed, classes = (1 << 64) - 1, ["dogs", "7", "cats"]
        run(SERVER, "sample", "--run", folder, "--count", 70, "--classes",
            ",".join(classes), "--seed", seed, "--out", self.folder / "server.png")
        images = mdgan.sample(mdgan.load(file), 70, classes, seed)
        self.alike(mdgan.grid(images, mdgan.columns_of(70, 3)).numpy()
                   .astype(int).squeeze(),
                   pixels(self.folder / "server.png"), True)

    def command(self, *arguments):
        """(exit code, stdout, stderr) of python -m mdgan, without the second that
        a process takes to import PyTorch."""
        out, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors), \
                mock.patch.object(sys, "argv", ["mdgan", *map(str, arguments)]), \
                self.assertRaises(SystemExit) as ended:
            runpy.run_module("mdgan", run_name="__main__")
        return ended.exception.code, out.getvalue(), errors.getvalue()

    def test_the_command_draws_the_servers_grid(self):
        file = self.folder / "ours.png"
        for case in (CASES[0], CASES[2]):  # grey and in colour
            self.assertEqual(
                self.command("sample", self.trained(case), "--count", 5, "--out",
                             file), (0, f"{file}: 5 images\n", ""))
            self.alike(pixels(file), self.servers_picture(case),
                       case[1] != "none")
        code, out, errors = self.command("sample", self.folder)
        self.assertEqual((code, out), (1, ""))
        self.assertRegex(errors, f"^mdgan: {self.folder} is neither .*\n$")
        with mock.patch.dict(sys.modules, PIL=None):
            code, out, errors = self.command("sample", self.folder)
        self.assertEqual((code, out), (1, ""))
        self.assertIn("python3-pil", errors)

    def test_statistics_and_status_are_the_runs(self):
        folder = self.trained(CASES[0])
        table = mdgan.stats(folder, frame=False)
        self.assertEqual(table[-1]["round"], 2)
        self.assertGreater(table[-1]["d_loss"], 0)
        self.assertGreater(table[-1]["seconds.wait"], 0)
        status = mdgan.status(folder)
        self.assertEqual((status["state"], status["round"], status["server"]),
                         ("finished", 2, "gone"))

    def test_the_readmes_lines_run(self):
        folder = self.folder / "readme"
        (folder / "runs").mkdir(parents=True)
        (folder / "runs/00001-mnist-mlp").symlink_to(self.trained(CASES[0]))
        text = (support.ROOT / "python/README.md").read_text(encoding="utf-8")
        blocks = text.split("```python\n")[1:]
        self.assertGreater(len(blocks), 0)
        code = "".join(block.split("```")[0] for block in blocks)
        commands = re.findall(r"^    python3 -m mdgan (.*)$", text, re.M)
        self.assertGreater(len(commands), 0)
        back = os.getcwd()
        os.chdir(folder)
        try:
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(code, {})
            self.assertIn("[16, 1, 8, 12]", out.getvalue())
            for command in commands:
                self.assertEqual(self.command(*command.split())[0], 0)
        finally:
            os.chdir(back)
        for name in ("grid.png", "generator.pt", "generator.onnx"):
            self.assertTrue((folder / name).exists(), name)


if __name__ == "__main__":
    support.main()
