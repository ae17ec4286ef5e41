#!/usr/bin/env python3
"""Makes folders of images of a file of NumPy arrays, such as MedMNIST's.

  npz_folders.py FILE.npz DIR

The arrays are called train_images and train_labels, val_... and test_...; they become
DIR/train/LABEL/NUMBER.png and so on, which mdgan-peer --data DIR takes. Needs the
packages python3-numpy and python3-pil.
"""
import pathlib
import sys

import numpy as np
from PIL import Image


def write_part(part, images, labels, digits, to):
    for number, (image, label) in enumerate(zip(images, labels)):
        folder = to / part / f"{label:0{digits}}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{number:06}.png")


def main(file, to):
    arrays = np.load(file)
    parts = [name[:-len("_images")] for name in arrays.files
             if name.endswith("_images")]
    if not parts:
        sys.exit(f"{file}: has no array NAME_images; it has "
                 f"{', '.join(arrays.files)}")
    labels = {}
    for part in parts:
        images, given = arrays[f"{part}_images"], arrays[f"{part}_labels"]
        if images.dtype != np.uint8 or images.ndim not in (3, 4) or (
                images.ndim == 4 and images.shape[3] != 3):
            sys.exit(f"{file}: {part}_images is {images.dtype} of the shape "
                     f"{images.shape}; pictures are uint8, N x H x W or "
                     "N x H x W x 3")
        labels[part] = given.reshape(len(given), -1)
        if len(given) != len(images) or labels[part].shape[1] != 1:
            sys.exit(f"{file}: {part}_labels is {given.shape}; each image needs "
                     "one label")
    digits = len(str(max(int(each.max()) for each in labels.values())))
    for part in parts:
        write_part(part, arrays[f"{part}_images"], labels[part][:, 0], digits,
                   pathlib.Path(to))


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    main(*sys.argv[1:])
