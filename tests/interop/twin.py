#!/usr/bin/env python3
"""The generators once more, in PyTorch: shows that an exported generator is one
that PyTorch users can load, under PyTorch's names, and that it draws the same.

  twin.py --weights generator.safetensors --model mlp --classes 10 \\
      --channels 1 --height 28 --width 28 --condition acgan \\
      --latents latents.raw --labels labels.raw --out images.raw

Latents are float32 [n, latent], labels int32 [n] (without them: --condition
none); the images are float32 [n, channels, height, width] in [-1, 1]. Files are
.npy, or, under any other name, little-endian values and nothing else. The exit
code is 0, or 1 when the weights are not exactly those of the model.

The generators are those of python/mdgan; needs PyTorch and NumPy.
"""
import argparse
import pathlib
import sys

import numpy as np
import torch

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "python"))
from mdgan.loading import make_generator  # noqa: E402
from mdgan.models import MODELS  # noqa: E402
from mdgan.safetensors import SafetensorsFile  # noqa: E402


def read_values(path, dtype):
    if path.endswith(".npy"):
        return np.load(path).astype(dtype)
    return np.fromfile(path, dtype)


def write_values(path, values):
    if path.endswith(".npy"):
        np.save(path, values)
    else:
        values.astype("<f4").tofile(path)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--weights", required=True)
    parser.add_argument("--model", required=True, choices=MODELS)
    parser.add_argument("--channels", type=int, required=True)
    parser.add_argument("--height", type=int, required=True)
    parser.add_argument("--width", type=int, required=True)
    parser.add_argument("--classes", type=int, default=0)
    parser.add_argument("--condition", default="none",
                        choices=["none", "acgan", "projection"])
    parser.add_argument("--latent", type=int, default=100)
    parser.add_argument("--latents", required=True)
    parser.add_argument("--labels")
    parser.add_argument("--out", required=True)
    return parser.parse_args()


def main():
    args = parse()
    torch.set_num_threads(1)
    description = {
        "model": args.model, "condition": args.condition,
        "image": [args.channels, args.height, args.width],
        "classes": args.classes, "class_names": [], "latent": args.latent}
    try:
        with SafetensorsFile(args.weights) as file:
            model = make_generator(description, "the command line", file, "")
    except ValueError as error:
        print(f"twin.py: {error}", file=sys.stderr)
        return 1
    z = torch.from_numpy(read_values(args.latents, "<f4"))
    z = z.reshape(-1, args.latent)
    labels = None
    if args.condition != "none":
        labels = torch.from_numpy(read_values(args.labels, "<i4")).long()
    with torch.no_grad():
        images = model(z, labels)
    write_values(args.out, images.numpy())
    return 0


if __name__ == "__main__":
    sys.exit(main())
