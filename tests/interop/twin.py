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

Written from the descriptions in common/models/*.h; needs PyTorch and NumPy.
"""
import argparse
import json
import pathlib
import struct
import sys

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

DTYPES = {"F32": "<f4", "I32": "<i4", "I64": "<i8"}


def read_safetensors(path):
    """Parsed by hand, so that the format and not a library's reading of it is
    what the C++ side is held to."""
    raw = pathlib.Path(path).read_bytes()
    (size,) = struct.unpack_from("<Q", raw)
    header = json.loads(raw[8 : 8 + size])
    data = raw[8 + size :]
    header.pop("__metadata__", None)
    tensors, used = {}, 0
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        values = np.frombuffer(data[begin:end], DTYPES[entry["dtype"]])
        tensors[name] = torch.from_numpy(values.copy()).reshape(entry["shape"])
        used += end - begin
    if used != len(data):
        raise ValueError(f"{len(data) - used} bytes of {path} are in no tensor")
    return tensors


def leaky(x):
    return F.leaky_relu(x, 0.2)


class Twin(nn.Module):
    """Multiplies the latent by its label's vector, then draws."""

    def __init__(self, args):
        super().__init__()
        self.image = (args.channels, args.height, args.width)
        self.build(args)
        if args.condition != "none":
            self.embedding = nn.Embedding(args.classes, args.latent)

    def forward(self, z, labels):
        if hasattr(self, "embedding"):
            z = z * self.embedding(labels)
        return torch.tanh(self.draw(z))


class Mlp(Twin):
    def build(self, args):
        values = args.channels * args.height * args.width
        self.fc1 = nn.Linear(args.latent, 512)
        self.fc2 = nn.Linear(512, 512)
        self.fc3 = nn.Linear(512, values)

    def draw(self, z):
        x = self.fc3(leaky(self.fc2(leaky(self.fc1(z)))))
        return x.reshape(-1, *self.image)


class AcganCnn(Twin):
    def build(self, args):
        widths = [*self.widths, args.channels]
        self.deconvs = len(self.widths)
        scale = 2**self.deconvs
        self.start = (widths[0], args.height // scale, args.width // scale)
        self.fc = nn.Linear(args.latent, int(np.prod(self.start)))
        for i in range(self.deconvs):
            deconv = nn.ConvTranspose2d(
                widths[i], widths[i + 1], 5, 2, padding=2, output_padding=1
            )
            self.add_module(f"deconv{i + 1}", deconv)

    def draw(self, z):
        x = self.fc(z).reshape(-1, *self.start)
        for i in range(self.deconvs):
            x = getattr(self, f"deconv{i + 1}")(leaky(x))
        return x


class MnistCnn(AcganCnn):
    widths = (128, 32)


class Cifar10Cnn(AcganCnn):
    widths = (384, 192, 96)


class Dcgan(Twin):
    CHANNELS = {32: [256, 128, 64], 64: [512, 256, 128, 64],
                128: [1024, 512, 256, 128, 64]}

    def build(self, args):
        channels = [args.latent, *self.CHANNELS[args.height], args.channels]
        self.norms = len(channels) - 2
        for i in range(self.norms + 1):
            stride, padding = (1, 0) if i == 0 else (2, 1)
            deconv = nn.ConvTranspose2d(
                channels[i], channels[i + 1], 4, stride, padding, bias=False
            )
            self.add_module(f"deconv{i + 1}", deconv)
        for i in range(1, self.norms + 1):
            self.add_module(f"norm{i}", nn.BatchNorm2d(channels[i]))

    def draw(self, z):
        x = self.deconv1(z[:, :, None, None])
        for i in range(1, self.norms + 1):
            x = torch.relu(getattr(self, f"norm{i}")(x))
            x = getattr(self, f"deconv{i + 1}")(x)
        return x


class Block(nn.Module):
    def __init__(self, inner, outer):
        super().__init__()
        between = min(inner, outer)
        self.conv0 = nn.Conv2d(inner, between, 3, padding=1)
        self.conv1 = nn.Conv2d(between, outer, 3, padding=1)
        if inner != outer:
            self.shortcut = nn.Conv2d(inner, outer, 1, bias=False)

    def forward(self, x):
        change = self.conv1(leaky(self.conv0(leaky(x))))
        if hasattr(self, "shortcut"):
            x = self.shortcut(x)
        return x + 0.1 * change


class Resnet(Twin):
    CHANNELS = {32: [512, 256, 128, 64], 64: [512, 512, 256, 128, 64]}

    def build(self, args):
        channels = self.CHANNELS[args.height]
        self.blocks = len(channels)
        self.fc = nn.Linear(args.latent, 512 * 4 * 4)
        for i in range(self.blocks):
            inner = 512 if i == 0 else channels[i - 1]
            self.add_module(f"block{i + 1}", Block(inner, channels[i]))
        self.conv = nn.Conv2d(channels[-1], args.channels, 3, padding=1)

    def draw(self, z):
        x = self.block1(self.fc(z).reshape(-1, 512, 4, 4))
        for i in range(1, self.blocks):
            x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = getattr(self, f"block{i + 1}")(x)
        return self.conv(leaky(x))


MODELS = {"mlp": Mlp, "mnist-cnn": MnistCnn, "cifar10-cnn": Cifar10Cnn,
          "dcgan": Dcgan, "resnet": Resnet}


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
    model = MODELS[args.model](args).eval()
    try:
        model.load_state_dict(read_safetensors(args.weights), strict=True)
    except (RuntimeError, ValueError, KeyError) as error:
        print(f"twin.py: {args.weights}: {error}", file=sys.stderr)
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
