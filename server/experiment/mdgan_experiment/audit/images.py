"""Reads images whose pixels mdgan-peer takes as they are in the file (common/data), and
writes some of them into folders that it reads: MNIST's files, or image files in folders
that are classes. What a peer would turn, or look up in a palette, is refused.
"""
import dataclasses
import gzip
import math
import pathlib
import shutil
import struct

import numpy

from ..definition import Refused

IDX = {"images": ("images-idx3-ubyte", "images.idx3-ubyte"),
       "labels": ("labels-idx1-ubyte", "labels.idx1-ubyte")}
ORIENTATION = 0x0112  # of EXIF
ENDINGS = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff"}


@dataclasses.dataclass(frozen=True)
class Images:
    """pixels  [n, channels, height, width] uint8
    labels  [n] int64, numbers of `classes`; None without
    files   the image files, in their order; empty for MNIST's"""
    pixels: numpy.ndarray
    labels: numpy.ndarray
    classes: list
    files: list = dataclasses.field(default_factory=list)

    def __len__(self):
        return len(self.pixels)

    def numbered_by(self, classes):
        """The labels as numbers of the run's `classes`."""
        missing = {*self.classes} - {*classes}
        if self.labels is None or missing:
            raise Refused(
                "the run's classes are " + ", ".join(classes) + "; the images have "
                + (", ".join(sorted(missing)) + " besides" if missing else
                   "none") + ": give the images that the peers were trained on")
        place = {name: i for i, name in enumerate(classes)}
        return numpy.array([place[name] for name in self.classes])[self.labels]


def read(folder):
    """The images of a folder's training part. Raises Refused if there are none, or
    not of one size."""
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise Refused(f"{folder} is not a folder; name the folder of the images")
    idx = idx_file(folder, "images")
    return read_idx(folder, idx) if idx else read_files(folder)


def idx_file(folder, kind):
    for name in IDX[kind]:
        for path in (folder / f"train-{name}", folder / f"train-{name}.gz"):
            if path.exists():
                return path
    return None


def idx_values(path, dimensions):
    """The array in an IDX file of bytes."""
    try:
        raw = path.read_bytes()
        if path.suffix == ".gz":
            raw = gzip.decompress(raw)
    except (OSError, EOFError) as error:
        raise Refused(f"{path} cannot be read: {error}") from None
    start = 4 + 4 * dimensions
    shape = struct.unpack_from(f">{dimensions}I", raw, 4) \
        if len(raw) >= start else ()
    if raw[:4] != bytes([0, 0, 8, dimensions]) or \
            len(raw) - start != math.prod(shape):
        raise Refused(f"{path} is no IDX file of bytes with {dimensions} "
                      "dimensions; put a whole one in its place")
    return numpy.frombuffer(raw, numpy.uint8, offset=start).reshape(shape)


def read_idx(folder, path):
    pixels = idx_values(path, 3)[:, None]
    labels = idx_file(folder, "labels")
    if labels is None:
        return Images(pixels, None, [])
    values = idx_values(labels, 1).astype(numpy.int64)
    if len(values) != len(pixels):
        raise Refused(f"{labels} has {len(values)} labels, and {path} "
                      f"{len(pixels)} images")
    return Images(pixels, values, [str(i) for i in range(10)]
                  if not len(values) or values.max() < 10 else
                  [str(i) for i in range(values.max() + 1)])


def read_files(folder):
    try:
        from PIL import Image
    except ImportError:
        raise Refused(f"to read the image files in {folder} needs Pillow; install "
                      "Debian's python3-pil") from None
    # A train/ alone is a class of that name (common/data/folder_plan.cc).
    split = (folder / "train").is_dir() and any(
        (folder / part).is_dir() for part in ("test", "val"))
    root = folder / "train" if split else folder
    files = sorted(path for path in root.rglob("*")
                   if path.suffix.lower() in ENDINGS and not any(
                       part.startswith((".", "@", "__"))
                       for part in path.relative_to(root).parts))
    if not files:
        raise Refused(f"{folder} has neither MNIST's files nor image files; name a "
                      "folder of one of these")
    arrays = []
    for path in files:
        try:
            with Image.open(path) as image:
                plain = image.mode in ("L", "RGB") and \
                    image.getexif().get(ORIENTATION, 1) == 1
                arrays.append(numpy.asarray(image))
        except OSError as error:
            raise Refused(f"{path} cannot be read: {error}") from None
        if not plain or arrays[-1].dtype != numpy.uint8 or \
                arrays[-1].shape != arrays[0].shape or \
                arrays[-1].ndim not in (2, 3) or arrays[-1].shape[2:] not in (
                    (), (3,)):
            raise Refused(f"{path} is not grey or RGB of 8 bits and upright, or of another size "
                          f"than {files[0]}; bring all images to one form, with "
                          "which the peers are started, too")
    pixels = numpy.stack(arrays)
    pixels = pixels[:, None] if pixels.ndim == 3 else pixels.transpose(0, 3, 1, 2)
    classes = sorted({path.relative_to(root).parts[0] for path in files
                      if path.parent != root})
    labels = None
    if classes and all(path.parent != root for path in files):
        place = {name: i for i, name in enumerate(classes)}
        labels = numpy.array([place[path.relative_to(root).parts[0]]
                              for path in files], numpy.int64)
    return Images(numpy.ascontiguousarray(pixels), labels,
                  classes if labels is not None else [], files)


def write(images, chosen, folder):
    """Writes the images of the numbers `chosen` into a new folder, in the form in
    which they were read."""
    folder.mkdir(parents=True)
    if images.files:
        for i in chosen:
            inside = folder
            if images.labels is not None:
                inside = folder / images.classes[images.labels[i]]
                inside.mkdir(exist_ok=True)
            shutil.copyfile(images.files[i], inside /
                            f"{i:08}{images.files[i].suffix}")
        return
    write_idx(folder / "train-images-idx3-ubyte", images.pixels[chosen, 0])
    if images.labels is not None:
        write_idx(folder / "train-labels-idx1-ubyte",
                  images.labels[chosen].astype(numpy.uint8))


def write_idx(path, values):
    path.write_bytes(bytes([0, 0, 8, values.ndim]) + struct.pack(
        f">{values.ndim}I", *values.shape) + values.tobytes())


def normalised(pixels):
    """float32 in [-1, 1], as discriminators are given them."""
    return pixels.astype(numpy.float32) / numpy.float32(127.5) - numpy.float32(1)
