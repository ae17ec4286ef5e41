"""Puts mdgan_experiment on the path of its tests, and sets up their folders."""
import hashlib
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PROGRAM = ROOT / "server/experiment/mdgan-experiment"
sys.path.insert(0, str(PROGRAM.parent))

DEFINITION = """
[experiment]
title = A & B <compared>
question = Which of
    the two is better?
data = folder
rounds = 100
seeds = 1, 2
evaluate-every = 50

[common]
batch = 10

[arm one]
label = one peer
local-peers = 1

[arm ten]
label = ten peers
local-peers = 10
partition = classes:1
"""


def ledger_digits(pixels):
    """An image [c, h, w] uint8 as common/privacy/ledger_book.cc writes it: the
    hexadecimal digits of a number, whose bytes are the first of a hash."""
    sides = struct.pack("<3I", *pixels.shape)
    first = hashlib.sha256(sides + pixels.tobytes()).digest()[:8]
    return f"{int.from_bytes(first, 'little'):016x}"


class InFolder(unittest.TestCase):
    """Gives each test a folder of its own, with a fake mdgan-server in bin/ and
    an empty folder data/."""

    def setUp(self):
        made = tempfile.TemporaryDirectory(prefix="mdgan-experiment-")
        self.addCleanup(made.cleanup)
        self.folder = pathlib.Path(made.name)
        (self.folder / "data").mkdir()
        (self.folder / "bin").mkdir()
        shutil.copy(HERE / "fake_server.py", self.folder / "bin/mdgan-server")
        self.out = self.folder / "out"

    def define(self, text=DEFINITION):
        path = self.folder / "trial.ini"
        path.write_text(text)
        return path

    def command(self, *flags):
        return [sys.executable, str(PROGRAM), "run",
                str(self.folder / "trial.ini"), "--data",
                str(self.folder / "data"), "--bin", str(self.folder / "bin"),
                "--out", str(self.out), *flags]

    def run_it(self, *flags):
        return subprocess.run(self.command(*flags), capture_output=True,
                              text=True, timeout=300)

    def log(self, arm, seed):
        return (self.out / arm / f"seed-{seed}.log").read_text()
