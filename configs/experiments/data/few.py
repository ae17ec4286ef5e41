#!/usr/bin/env python3
"""Makes a small training set of MNIST's files: the first images alone.

  few.py DIR OUT [--images 1000]

DIR has MNIST's or Fashion-MNIST's four files, plain or gzip. OUT gets the first
images of the training part, and the test part as it is, by which a generator is
measured.
"""
import argparse
import gzip
import pathlib
import struct


def read(folder, name):
    """The bytes of an IDX file, whether it is compressed or not."""
    plain = folder / name
    if plain.exists():
        return plain.read_bytes()
    return gzip.decompress((folder / f"{name}.gz").read_bytes())


def first(idx, count):
    """An IDX file of the first `count` entries of another."""
    dimensions = idx[3]
    total, = struct.unpack(">I", idx[4:8])
    if count > total:
        raise SystemExit(f"few.py: there are {total} images, fewer than {count}")
    header = 4 + 4 * dimensions
    each = (len(idx) - header) // total
    return (idx[:4] + struct.pack(">I", count) + idx[8:header]
            + idx[header:header + count * each])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--images", type=int, default=1000)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for kind in ("images-idx3-ubyte", "labels-idx1-ubyte"):
        train = first(read(options.dir, f"train-{kind}"), options.images)
        (options.out / f"train-{kind}").write_bytes(train)
        (options.out / f"t10k-{kind}").write_bytes(
            read(options.dir, f"t10k-{kind}"))


if __name__ == "__main__":
    main()
