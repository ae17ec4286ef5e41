"""What the tests of python/mdgan share: they are skipped aloud without PyTorch."""
import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SKIPPED = 77  # tests/CMakeLists.txt has it as SKIP_RETURN_CODE
sys.path.insert(0, str(ROOT / "python"))
try:
    import torch
except ImportError:
    print("SKIPPED: PyTorch for Python (Debian's python3-torch) is missing")
    sys.exit(SKIPPED)
torch.set_num_threads(1)


def skip_part(what):
    """For a part of a test, whose other parts have passed."""
    print(f"SKIPPED: {what}", flush=True)


def main():
    unittest.main(argv=sys.argv[:1], verbosity=2)
