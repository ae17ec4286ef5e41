"""A file like MedMNIST's becomes folders of the same images.

  npz_test.py NPZ_FOLDERS
"""
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image

RANDOM = np.random.default_rng(1)


def run(program, file, to):
    return subprocess.run([sys.executable, program, file, to],
                          stderr=subprocess.PIPE, text=True)


def check(program, folder):
    colour = RANDOM.integers(0, 256, (12, 5, 7, 3)).astype(np.uint8)
    grey = colour[:2, ..., 0]
    file = folder / "x.npz"
    np.savez_compressed(file, train_images=colour,
                        train_labels=np.arange(12)[:, None], test_images=grey,
                        test_labels=np.array([[3], [11]]))
    done = run(program, file, folder / "x")
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in (folder / "x/train").iterdir()) == \
        sorted(str(label) for label in range(12))
    for label in range(12):
        image = Image.open(folder / f"x/train/{label}/{label:06}.png")
        assert np.array_equal(np.asarray(image), colour[label])
    image = Image.open(folder / "x/test/11/000001.png")
    assert np.array_equal(np.asarray(image), grey[1])

    done = run(program, file, folder / "x")  # nothing is mixed
    assert done.returncode == 1 and "train exists" in done.stderr, done.stderr

    broken = folder / "broken.npz"
    broken.write_bytes(b"PK but no more")
    for bad in (broken, folder / "missing.npz"):
        done = run(program, bad, folder / "y")
        assert done.returncode == 1 and "can be read" in done.stderr, done.stderr
    objects = np.array([{}, {}], object)
    for words, arrays in (
            ("no train_labels", {"train_images": grey}),
            ("rename it", {"../z_images": grey, "../z_labels": np.zeros(2)}),
            ("rename it", {"_images": grey, "_labels": np.zeros(2)}),
            ("has no images", {"train_images": colour[:, :0],
                               "train_labels": np.zeros(12)}),
            ("has no images", {"train_images": grey[:0],
                               "train_labels": np.zeros((0, 1))}),
            ("cannot be read", {"train_images": grey, "train_labels": objects}),
            ("are no numbers", {"train_images": grey,
                                "train_labels": np.array([0.5, 1])}),
            ("no array NAME_images", {"x": grey}),
            ("uint8", {"train_images": grey.astype(float),
                       "train_labels": np.zeros(2, int)}),
            ("one label", {"train_images": grey,
                           "train_labels": np.zeros((2, 14), int)})):
        np.savez(file, **arrays)
        done = run(program, file, folder / "y")
        assert done.returncode == 1 and words in done.stderr, done.stderr
    print("folders of the same images")


with tempfile.TemporaryDirectory() as name:
    check(sys.argv[1], pathlib.Path(name))
