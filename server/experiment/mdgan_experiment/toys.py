"""Makes toy data sets, as IDX files that mdgan-server and mdgan-peer read:

dirac         Images have one value, whose mean is 0: the data of the Dirac-GAN
              (Mescheder, Geiger and Nowozin, 2018).
gaussians-8   Images have two values, a point in the plane, from a mixture of
              eight Gaussians on a circle.
gaussians-25  The same from 25 Gaussians on a square grid. The label is the last
              digit of the mode's number, because the programs read ten classes.
"""
import math
import pathlib
import random
import struct

MADE = ("dirac", "gaussians-8", "gaussians-25")
COUNT = 20_000
DEVIATION = 0.05  # the standard deviation of each Gaussian
REACH = 0.8  # the largest coordinate of a mode


def modes(name):
    """The means of the Gaussians."""
    if name == "gaussians-8":
        return [(REACH * math.cos(i * math.pi / 4),
                 REACH * math.sin(i * math.pi / 4)) for i in range(8)]
    steps = [REACH * (i - 2) / 2 for i in range(5)]
    return [(x, y) for x in steps for y in steps]


def to_byte(value):
    return min(255, max(0, round((value + 1) * 127.5)))


def make(name, folder):
    """Writes the data set into a folder unless it is there; returns the folder.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    images = folder / "train-images-idx3-ubyte"
    labels = folder / "train-labels-idx1-ubyte"
    if images.exists() and labels.exists():
        return folder
    pixels, classes = dirac() if name == "dirac" else gaussians(name)
    width = len(pixels) // len(classes)
    write(labels, struct.pack(">II", 0x801, len(classes)) + classes)
    write(images, struct.pack(">IIII", 0x803, len(classes), 1, width) + pixels)
    return folder


def dirac():
    # No byte stands for 0, so the two nearest ones alternate.
    return bytes([127, 128] * (COUNT // 2)), bytes(COUNT)


def gaussians(name):
    draw = random.Random(name)
    centres = modes(name)
    pixels, classes = bytearray(), bytearray()
    for i in range(COUNT):
        mode = i % len(centres)
        classes.append(mode % 10)
        pixels.extend(to_byte(draw.gauss(c, DEVIATION))
                      for c in centres[mode])
    return bytes(pixels), bytes(classes)


def write(path, content):
    """Writes a file under its name only once it is complete."""
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    part.replace(path)
