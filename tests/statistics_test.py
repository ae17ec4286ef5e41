"""Statistics of features as pytorch-fid has them: NumPy reads what `export` writes,
`evaluate --against` reads what NumPy writes, and both compute the same distance.

  statistics_test.py FOLDER_OF_MDGAN_SERVER
"""
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile

try:
    import numpy as np
except ImportError:
    print("SKIPPED: NumPy (Debian's python3-numpy) is missing")
    sys.exit(77)

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def write_images(folder):
    """300 images of 8x8 in MNIST's format, of ten classes that can be told."""
    folder.mkdir()
    chance = np.random.default_rng(1)
    labels = np.arange(300) % 10
    pixels = chance.integers(0, 60, (300, 8, 8))
    for image, label in zip(pixels, labels):
        image[label % 8, label // 8:label // 8 + 4] += 150
    for part, rows in (("train", slice(0, 240)), ("t10k", slice(240, 300))):
        images, names = pixels[rows].astype(np.uint8), labels[rows].astype(np.uint8)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(
            struct.pack(">IIII", 0x803, len(images), 8, 8) + images.tobytes())
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(
            struct.pack(">II", 0x801, len(names)) + names.tobytes())


def frechet(mu_a, sigma_a, mu_b, sigma_b):
    """The trace of the root of a product of covariances is the sum of the roots of
    its eigenvalues."""
    roots = np.sqrt(np.maximum(np.linalg.eigvals(sigma_a @ sigma_b).real, 0))
    return (np.sum((mu_a - mu_b) ** 2) + np.trace(sigma_a) + np.trace(sigma_b)
            - 2 * roots.sum())


def main(binaries):
    server = str(pathlib.Path(binaries).resolve() / "mdgan-server")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        write_images(folder / "data")

        def run(code, *options):
            done = subprocess.run([server, *map(str, options)], cwd=folder,
                                  env=ENVIRONMENT, capture_output=True, text=True,
                                  timeout=300)
            assert done.returncode == code, (options, done.returncode, done.stdout,
                                             done.stderr)
            return done.stdout + done.stderr
        run(0, "train", "--data", "data", "--local-peers", 2, "--batch", 4,
            "--rounds", 20, "--run-dir", "run", "--evaluate-cache", "cache",
            "--evaluate-samples", 60)

        def fid(*options):
            said = run(0, "evaluate", "--run", "run", *options)
            return float(re.search(r"frechet_inception_distance +([\d.]+)", said)[1])
        run(0, "export", "--run", "run", "--format", "npz", "--real", "--out",
            "real.npz")
        run(0, "export", "--run", "run", "--format", "npz")
        with np.load(folder / "real.npz") as real, \
                np.load(folder / "features.npz") as made:
            assert sorted(real.files) == ["mu", "sigma"], real.files
            assert real["mu"].shape == (128,) and real["sigma"].shape == (128, 128)
            assert np.allclose(real["sigma"], real["sigma"].T)
            expected = frechet(real["mu"], real["sigma"], made["mu"], made["sigma"])
            mu, sigma = real["mu"], real["sigma"]
        by_images = fid()
        assert expected > 1 and abs(by_images - expected) < 1e-2 * expected, (
            by_images, expected)
        assert abs(fid("--against", "real.npz") - by_images) < 1e-3 * by_images

        # What NumPy writes, compressed or not, in either precision.
        np.savez_compressed(folder / "packed.npz", mu=mu, sigma=sigma)
        np.savez(folder / "single.npz", mu=mu.astype(np.float32),
                 sigma=sigma.astype(np.float32))
        for file in ("packed.npz", "single.npz"):
            assert abs(fid("--against", file) - by_images) < 1e-2 * by_images, file

        np.savez(folder / "other.npz", mu=mu[:64], sigma=sigma[:64, :64])
        assert "--features" in run(3, "evaluate", "--run", "run", "--against",
                                   "other.npz")
        np.savez(folder / "odd.npz", mu=mu, sigma=sigma[:64])
        assert "a covariance" in run(6, "evaluate", "--run", "run", "--against",
                                     "odd.npz")
        np.savez(folder / "strange.npz", mu=mu)
        assert "'sigma' is not in it" in run(6, "evaluate", "--run", "run",
                                             "--against", "strange.npz")
    print("NumPy and mdgan-server read each other's statistics")


if __name__ == "__main__":
    main(sys.argv[1])
