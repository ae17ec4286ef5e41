#!/usr/bin/env python3
"""Makes folders of images of a file of NumPy arrays, such as MedMNIST's.

  npz_folders.py FILE.npz DIR

The arrays are called train_images and train_labels, val_... and test_...; they become
DIR/train/LABEL/NUMBER.png and so on, which mdgan-peer --data DIR takes; a part that is
there already is not mixed with another file's. Needs the packages python3-numpy and
python3-pil.
"""
import pathlib
import sys
import zipfile
import zlib

import numpy as np
from PIL import Image

UNREADABLE = (OSError, EOFError, ValueError, AttributeError, zipfile.BadZipFile,
              zlib.error)


def write_part(part, images, labels, to):
    for number, (image, label) in enumerate(zip(images, labels)):
        # The same name at each site, whatever other labels it has.
        folder = to / part / str(int(label))
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{number:06}.png")


def read(file, arrays, part):
    try:
        return arrays[f"{part}_images"], np.atleast_1d(arrays[f"{part}_labels"])
    except UNREADABLE as error:  # of Python's objects, too
        sys.exit(f"{file}: the arrays of {part} cannot be read: {error}")


def main(file, to):
    try:
        arrays = np.load(file)
        names = arrays.files
    except UNREADABLE as error:
        sys.exit(f"{file}: is no file of NumPy arrays (.npz) that can be read: "
                 f"{error}")
    parts = [name[:-len("_images")] for name in names
             if name.endswith("_images")]
    if not parts:
        sys.exit(f"{file}: has no array NAME_images; it has "
                 f"{', '.join(names)}")
    labels = {}
    if pathlib.Path(to).exists() and not pathlib.Path(to).is_dir():
        sys.exit(f"{to} is no folder: name another one")
    for part in parts:
        if not part.isidentifier():  # it becomes a folder's name
            sys.exit(f"{file}: has the array {part}_images, whose name does not "
                     "do for a folder: rename it")
        if f"{part}_labels" not in names:
            sys.exit(f"{file}: has {part}_images, but no {part}_labels: each "
                     "image needs a label")
        images, given = read(file, arrays, part)
        if (pathlib.Path(to) / part).exists():
            sys.exit(f"{pathlib.Path(to) / part} exists: remove it, or name "
                     "another folder")
        if images.dtype != np.uint8 or images.ndim not in (3, 4) or (
                images.ndim == 4 and images.shape[3] != 3):
            sys.exit(f"{file}: {part}_images is {images.dtype} of the shape "
                     f"{images.shape}; pictures are uint8, N x H x W or "
                     "N x H x W x 3")
        if images.size == 0 or len(given) == 0:
            sys.exit(f"{file}: {part} has no images")
        labels[part] = given.reshape(len(given), -1)
        if len(given) != len(images) or labels[part].shape[1:] != (1,):
            sys.exit(f"{file}: {part}_labels is {given.shape}; each image needs "
                     "one label")
        if labels[part].dtype.kind not in "biuf" or not all(
                np.isfinite(each) and int(each) == each and each >= 0
                for each in labels[part][:, 0]):
            sys.exit(f"{file}: {part}_labels has labels that are no numbers "
                     "0, 1, 2 ...")
    for part in parts:
        write_part(part, arrays[f"{part}_images"], labels[part][:, 0],
                   pathlib.Path(to))


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    main(*sys.argv[1:])
