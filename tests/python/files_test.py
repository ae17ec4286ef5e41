"""Tests what python/mdgan reads: exported files, checkpoints, statistics, status.

No server runs here: the files are written by hand, sound and damaged.
"""
import fcntl
import hashlib
import importlib.metadata
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import time
import types
import unittest
import warnings
from unittest import mock

import support
import torch

import mdgan
from mdgan import sampling
from mdgan.models import MODELS

EXPORT = {"format": "pt", "model": "mlp", "condition": "acgan", "latent": "3",
          "channels": "1", "height": "2", "width": "2", "classes": "2",
          "class_names": '["cat", "dog"]', "weights": "ema", "round": "5"}
META = {"completed": 5, "model": "mlp", "condition": "acgan",
        "image": [1, 2, 2, 2], "classes": ["cat", "dog"]}
SHAPES = {"fc1.weight": [512, 3], "fc1.bias": [512], "fc2.weight": [512, 512],
          "fc2.bias": [512], "fc3.weight": [4, 512], "fc3.bias": [4],
          "embedding.weight": [2, 3]}


def safetensors(shapes, metadata, prefixes=("",)):
    """(header, data) of such a file: every value of the i-th prefix is i + 1."""
    header, data = {"__metadata__": metadata}, b""
    for value, prefix in enumerate(prefixes, 1):
        for name, shape in shapes.items():
            count = torch.Size(shape).numel()
            part = struct.pack("<f", value) * count
            header[prefix + name] = {
                "dtype": "F32", "shape": shape,
                "data_offsets": [len(data), len(data) + len(part)]}
            data += part
    return header, data


def packed(header, data):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


class InFolder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def write(self, name, content):
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if not isinstance(content, bytes):
            content = (content if isinstance(content, str)
                       else json.dumps(content)).encode()
        file.write_bytes(content)
        return file

    def refused(self, call, *words):
        with self.assertRaises(ValueError) as caught:
            call()
        for word in words:
            self.assertIn(word, str(caught.exception))


class Exports(InFolder):
    def export(self, metadata=EXPORT, shapes=SHAPES):
        return self.write("g.safetensors", packed(*safetensors(shapes, metadata)))

    def test_a_sound_file_gives_the_generator(self):
        before = torch.random.get_rng_state()
        model = mdgan.load(str(self.export()))
        self.assertTrue(torch.equal(before, torch.random.get_rng_state()))
        self.assertEqual((model.latent, model.classes, model.image_shape),
                         (3, ["cat", "dog"], (1, 2, 2)))
        self.assertFalse(model.training)
        self.assertEqual({name: list(t.shape)
                          for name, t in model.state_dict().items()}, SHAPES)
        self.assertTrue(all((t == 1).all() for t in model.state_dict().values()))

    def test_a_dirac_gan_is_its_one_value(self):
        model = mdgan.load(self.export(
            {**EXPORT, "model": "dirac", "condition": "none", "height": "1",
             "width": "1"}, {"theta": [1]}))
        self.assertEqual(mdgan.sample(model, 2).tolist(), [[[[1]]]] * 2)
        self.assertTrue(torch.equal(torch.jit.script(model)(torch.zeros(2, 3)),
                                    mdgan.sample(model, 2)))

    def test_classes_without_names_are_numbered(self):
        model = mdgan.load(self.export({**EXPORT, "class_names": "[]"}))
        self.assertEqual(model.classes, ["0", "1"])

    def test_a_file_that_is_not_there_is_an_os_error(self):
        with self.assertRaises(FileNotFoundError):
            mdgan.load(self.folder / "none.safetensors")

    def test_a_damaged_file_is_refused_by_name(self):
        header, data = safetensors(SHAPES, EXPORT)
        whole = packed(header, data)

        def entry(**changes):
            return packed({**header, "fc1.bias": {**header["fc1.bias"], **changes}},
                          data)
        begin, end = header["fc1.bias"]["data_offsets"]
        twice = json.dumps(header)[:-1] + ', "fc1.bias": {}}'
        for content, words in {
            b"": "truncated: 0 bytes",
            whole[:7]: "truncated: 7 bytes",
            whole[:100]: "truncated: a header of",
            whole[:-1]: "bytes of data, it has",
            whole + b"\0": "bytes of data, it has",
            struct.pack("<Q", 1 << 60) + whole[8:]: "more than 1048576",
            packed(b"[" * 100000, b""): "nested too deeply",
            packed(b"{", b""): "is no JSON",
            packed(b'{"\xff": 1}', b""): "is not UTF-8",
            packed(b"[]", b""): "not a JSON object",
            packed(twice.encode(), data): "has a key twice",
            packed({"__metadata__": {"model": 1}}, b""): "metadata",
            packed({"a": 1}, b""): "'a' is not described by an object",
            entry(dtype="F16"): "'fc1.bias' has a dtype other than F32",
            entry(dtype=[]): "'fc1.bias' has a dtype other than F32",
            entry(shape=[-512]): "'fc1.bias' has no valid shape",
            entry(shape=[True]): "'fc1.bias' has no valid shape",
            entry(shape=[512.0]): "'fc1.bias' has no valid shape",
            entry(shape=[1] * 9 + [512]): "'fc1.bias' has no valid shape",
            entry(shape=[1 << 62, 1 << 62]): "data_offsets give it 2048",
            entry(shape=[511]): "needs 2044 bytes but data_offsets give it 2048",
            entry(data_offsets=[begin]): "'fc1.bias' has no valid data_offsets",
            entry(data_offsets=[end, begin]): "has no valid data_offsets",
            entry(data_offsets=[begin + 4, end + 4]): "was expected",
        }.items():
            with self.subTest(words):
                file = self.write("g.safetensors", content)
                self.refused(lambda: mdgan.load(file), str(file), words)

    def test_what_the_metadata_cannot_mean_is_refused(self):
        for changes, words in (
                ({"model": "mlp2"}, 'model is "mlp2"'),
                ({"condition": "some"}, 'condition is "some"'),
                ({"height": "0"}, "image is [1, 0, 2]"),
                ({"height": "-2"}, "'height' is '-2', no number"),
                ({"height": "9" * 5000}, "no number"),
                ({"height": "999999999", "width": "999999999"}, "image is"),
                ({"latent": "0"}, "latent is 0"),
                ({"latent": "65537"}, "latent is 65537"),
                ({"latent": "4"}, "tensor 'embedding.weight' of mlp should be "
                                  "[2, 4] and is [2, 3]"),
                ({"classes": "0"}, "classes is 0"),
                ({"classes": "3"}, "class_names is"),
                ({"class_names": "[1, 2]"}, "class_names is"),
                ({"class_names": "[" * 5000}, "'class_names'"),
                ({"condition": "none"}, "tensor 'embedding.weight' of mlp should "
                                        "be missing"),
                ({"model": "dcgan"}, "image is [1, 2, 2]"),
                ({"model": "dirac", "height": "1", "width": "1"}, "classes is 2")):
            with self.subTest(**changes):
                file = self.export({**EXPORT, **changes})
                self.refused(lambda: mdgan.load(file), str(file), words)
        del_model = {key: EXPORT[key] for key in EXPORT if key != "model"}
        self.refused(lambda: mdgan.load(self.export(del_model)),
                     "not a file of mdgan-server export")

    def test_a_tensor_that_is_missing_is_named(self):
        shapes = {name: SHAPES[name] for name in SHAPES if name != "fc2.bias"}
        self.refused(lambda: mdgan.load(self.export(shapes=shapes)),
                     "'fc2.bias' of mlp should be [512] and is missing")


class Checkpoints(InFolder):
    def checkpoint(self, round, meta=META, prefixes=("generator.", "ema."),
                   run="run"):
        folder = f"{run}/checkpoints/{round:08}"
        files = {}
        for name, content in (
                ("state.safetensors", packed(*safetensors(SHAPES, {}, prefixes))),
                ("meta.json", json.dumps({**meta, "completed": round}).encode())):
            self.write(f"{folder}/{name}", content)
            files[name] = {"bytes": len(content),
                           "sha256": hashlib.sha256(content).hexdigest()}
        self.write(f"{folder}/manifest.json",
                   {"format_version": 1, "round": round, "files": files})
        return self.folder / folder

    def test_a_run_gives_its_newest_sound_checkpoint(self):
        for round in (1, 2, 10):
            self.checkpoint(round)
        self.write("run/config.ini", "seed = 0\nlatent = 3\n")
        run = self.folder / "run"
        newest = run / "checkpoints/00000010/state.safetensors"
        self.assertEqual(mdgan.load(run).seed, 0)
        newest.write_bytes(newest.read_bytes()[:-4] + b"\1\1\1\1")
        with self.assertWarnsRegex(UserWarning, "00000010.state.safetensors"):
            self.assertTrue((mdgan.load(run).fc1.bias == 2).all())
        self.refused(lambda: mdgan.load(run, round=10), str(newest),
                     "not what manifest.json says")
        self.refused(lambda: mdgan.load(run, round=3), "those of 1, 2, 10")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            mdgan.load(run, round=2)

    def test_the_moving_average_is_taken_unless_it_is_declined(self):
        folder = self.checkpoint(5)
        self.assertTrue((mdgan.load(folder).fc1.bias == 2).all())
        self.assertTrue((mdgan.load(folder, ema=False).fc1.bias == 1).all())
        file = folder / "state.safetensors"
        self.assertTrue((mdgan.load(file, ema=False).fc1.bias == 1).all())
        folder = self.checkpoint(6, prefixes=("generator.", "adam."))
        self.assertTrue((mdgan.load(folder).fc1.bias == 1).all())

    def test_the_latent_follows_from_the_weights_without_a_config(self):
        self.assertEqual(mdgan.load(self.checkpoint(5)).latent, 3)

    def test_what_is_no_servers_checkpoint_is_refused(self):
        folder = self.checkpoint(5)
        (folder / "meta.json").write_text('{"round": 5}')
        self.refused(lambda: mdgan.load(folder), "meta.json", "not what manifest")
        self.refused(lambda: mdgan.load(self.folder), str(self.folder),
                     "neither the folder of a run")
        (self.folder / "new/checkpoints").mkdir(parents=True)
        self.refused(lambda: mdgan.load(self.folder / "new"), "has no checkpoint")
        peers = self.checkpoint(5, meta={"image": None}, run="peer")
        self.refused(lambda: mdgan.load(peers), "meta.json",
                     "not of a server's checkpoint")
        self.refused(lambda: mdgan.load(folder, round=5), "not the folder of a run")


class Sampling(unittest.TestCase):
    def test_the_generator_of_random_numbers_is_philox(self):
        # Random123's known answer for a counter and a key of 0; pictures_test.py
        # compares what is made of the words.
        with mock.patch.object(sampling, "SAMPLE_GRID", 0):
            self.assertEqual(sampling._philox(1, 0), [
                0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8])

    def test_classes_are_names_or_numbers_and_take_turns(self):
        model = MODELS["mlp"]((1, 2, 2), 3, ["cat", "1"], 1)
        for classes, labels in ((None, [0, 1, 0]), ("cat", [0, 0, 0]),
                                (1, [1, 1, 1]), (["1", "0"], [1, 0, 1]),
                                (torch.tensor([1, 0]), [1, 0, 1])):
            self.assertEqual(mdgan.inputs(model, 3, classes)[1].tolist(), labels)
        for classes in ("dog", 2, -1, "2"):
            with self.assertRaisesRegex(ValueError, "there is no class .*cat, 1"):
                mdgan.inputs(model, 3, classes)
        with self.assertRaises(TypeError):
            mdgan.inputs(model, 3, [0.5])
        with self.assertRaisesRegex(ValueError, "classes is empty"):
            mdgan.inputs(model, 3, [])
        plain = MODELS["mlp"]((1, 2, 2), 3, [], 1)
        self.assertEqual(len(mdgan.inputs(plain, 3)), 1)
        with self.assertRaisesRegex(ValueError, "unconditional"):
            mdgan.inputs(plain, 3, 0)
        with self.assertRaisesRegex(ValueError, "needs labels"):
            model(torch.zeros(1, 3))

    def test_sampling_leaves_the_training_mode_and_statistics(self):
        model = MODELS["dcgan"]((1, 32, 32), 2, [], 1).to_empty(device="cpu")
        for tensor in model.state_dict().values():
            tensor.fill_(1)
        model.train()
        mdgan.sample(model, 3)
        self.assertTrue(model.training)
        self.assertTrue((model.norm1.running_mean == 1).all())


class Tables(InFolder):
    def stats(self, *lines):
        self.write("stats.jsonl", "".join(
            line if isinstance(line, str) else json.dumps(line) + "\n"
            for line in lines))

    def rows(self):
        return mdgan.stats(self.folder, frame=False)

    def evaluation(self, name, *lines):
        self.write(f"metric-{name}.jsonl", "".join(
            json.dumps({"metric": name, "round": round, "samples": samples,
                        "real_images": 7, "features": features,
                        "results": results}) + "\n"
            for round, samples, features, results in lines))

    def test_losses_and_evaluations_are_one_table(self):
        self.stats({"round": 50, "d_loss": 1.5, "seconds": {"wait": 2}},
                   {"round": 100, "d_loss": None, "seconds": {"wait": 3},
                    "metrics": {"round": 80, "precision": 0.1, "samples": 20,
                                "real_images": 7, "features": "a", "seconds": 9}})
        self.evaluation("pr20", (100, 20, "a", {"precision": 0.5}),
                        (150, 20, "a", {"precision": 0.6}))
        self.evaluation("fid20", (100, 20, "a", {"frechet_inception_distance": 9}),
                        (100, 20, "b", {"frechet_inception_distance": 8}))
        none = dict.fromkeys(("d_loss", "seconds.wait", "precision", "samples",
                              "frechet_inception_distance", "real_images",
                              "features"))
        a = {"samples": 20, "real_images": 7, "features": "a"}
        self.assertEqual(self.rows(), [
            {**none, "round": 50, "d_loss": 1.5, "seconds.wait": 2},
            {**none, **a, "round": 80, "precision": 0.1},
            {**none, **a, "round": 100, "seconds.wait": 3, "precision": 0.5,
             "frechet_inception_distance": 9},
            {**none, **a, "round": 100, "features": "b",
             "frechet_inception_distance": 8},
            {**none, **a, "round": 150, "precision": 0.6}])

    def test_a_line_without_an_end_does_not_count(self):
        self.stats({"round": 50}, '{"round": 100}')
        self.assertEqual(self.rows(), [{"round": 50}])
        self.stats('{"rou')
        self.assertEqual(self.rows(), [])

    def test_a_damaged_line_is_named(self):
        for line in ('{"round": 50\n', "[1]\n", '{"round": true}\n', "\n"):
            self.stats({"round": 1}, line, {"round": 2})
            self.refused(self.rows, "stats.jsonl", "line 2")
        self.stats({"round": 1})
        self.write("metric-fid20.jsonl", "{}\n")
        self.refused(self.rows, "metric-fid20.jsonl", "line 1")
        for changes in ({"samples": []}, {"features": 1}, {"results": None}):
            self.write("metric-fid20.jsonl",
                       json.dumps({"round": 7, **changes}) + "\n")
            self.refused(self.rows, "metric-fid20.jsonl", "of round 7")
        self.refused(lambda: mdgan.stats(self.folder / "none"), "has no stats.jsonl")

    def test_pandas_makes_a_frame_where_it_is_there(self):
        self.stats({"round": 50, "d_loss": 1.5})
        made = types.SimpleNamespace(
            DataFrame=lambda table, columns: (table, columns))
        with mock.patch.dict(sys.modules, pandas=made):
            self.assertEqual(mdgan.stats(self.folder), (
                [{"round": 50, "d_loss": 1.5}], ["round", "d_loss"]))
            self.assertIsInstance(self.rows(), list)
        with mock.patch.dict(sys.modules, pandas=None):
            self.assertIsInstance(mdgan.stats(self.folder), list)
            with self.assertRaises(ImportError):
                mdgan.stats(self.folder, frame=True)
        try:
            import pandas
        except ImportError:
            support.skip_part("a real DataFrame: pandas is missing")
        else:
            self.assertIsInstance(mdgan.stats(self.folder), pandas.DataFrame)


class Status(InFolder):
    def status(self, **fields):
        self.write("status.json", {"schema": 1, "state": "training", "pid": 1 << 22,
                                   "updated": time.time() - 60, **fields})
        return mdgan.status(self.folder)["server"]

    def test_the_lock_says_whether_the_server_runs(self):
        self.assertEqual(self.status(), "gone")
        self.assertEqual(self.status(updated=time.time()), "unknown")
        self.assertEqual(self.status(updated=time.time(), state="finished"), "gone")
        lock = self.write("lock", "")
        self.assertEqual(self.status(), "gone")
        with open(lock) as held:
            self.assertEqual(self.status(pid=os.getpid()), "running")
            fcntl.flock(held, fcntl.LOCK_EX)
            self.assertEqual(self.status(), "running")
        self.assertEqual(self.status(pid=os.getpid()), "gone")

    def test_a_damaged_status_is_named(self):
        self.refused(lambda: mdgan.status(self.folder), "has no status.json")
        for content in ("", "{", "[]", '{"schema": 2}'):
            self.write("status.json", content)
            self.refused(lambda: mdgan.status(self.folder), "status.json")


class Package(InFolder):
    def test_its_version_is_that_of_the_programs(self):
        text = (support.ROOT / "CMakeLists.txt").read_text()
        self.assertIn(f"project(mdgan VERSION {mdgan.__version__} ", text)

    def test_pip_installs_it(self):
        try:
            importlib.metadata.version("pip")
            tools = importlib.metadata.version("setuptools")
        except importlib.metadata.PackageNotFoundError:
            tools = "0"
        if int(tools.split(".")[0]) < 61:
            support.skip_part("pip install: pip or setuptools >= 61 is missing")
            return
        source = self.folder / "source"  # pip leaves what it builds in there
        source.mkdir()
        for name in ("pyproject.toml", "README.md", "mdgan"):
            subprocess.run(["cp", "-r", support.ROOT / "python" / name, source],
                           check=True)
        done = subprocess.run(
            [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index",
             "--no-build-isolation", "--target", self.folder / "to", source],
            capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(
            sorted(path.name for path in (self.folder / "to/mdgan").glob("*.py")),
            sorted(path.name for path in
                   (support.ROOT / "python/mdgan").glob("*.py")))
        found = list((self.folder / "to").glob("mdgan-*.dist-info"))
        self.assertEqual([path.name for path in found],
                         [f"mdgan-{mdgan.__version__}.dist-info"])


if __name__ == "__main__":
    support.main()
