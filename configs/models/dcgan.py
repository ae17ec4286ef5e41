#!/usr/bin/env python3
"""Writes a model of one's own, a TorchScript file that mdgan-server takes by
--model script:FILE and mdgan-peer by --model-file FILE. This one is the networks of
--model dcgan without labels (common/models/dcgan.h), layer by layer, so that both can
be compared.

    python3 configs/models/dcgan.py --image 3x64x64 --out dcgan.pt

What such a model must be is in docs/own-models.md.
"""
import argparse

import torch
from torch import Tensor, nn

SMALLEST = 4  # side of the smallest feature map
WIDTH = 64    # channels at half of the image's size


def blocks(side):
    """How often a side of SMALLEST is doubled."""
    count = (side // SMALLEST).bit_length() - 1
    if count < 1 or SMALLEST << count != side:
        raise SystemExit(f"sides must be {SMALLEST} times a power of 2, not {side}")
    return count


class Generator(nn.Module):
    def __init__(self, image, latent):
        super().__init__()
        channels, height, _ = image
        out = WIDTH << (blocks(height) - 1)
        layers = [nn.ConvTranspose2d(latent, out, 4, bias=False)]
        for _ in range(blocks(height) - 1):
            layers += [nn.BatchNorm2d(out), nn.ReLU(),
                       nn.ConvTranspose2d(out, out // 2, 4, 2, 1, bias=False)]
            out //= 2
        layers += [nn.BatchNorm2d(out), nn.ReLU(),
                   nn.ConvTranspose2d(out, channels, 4, 2, 1, bias=False)]
        self.layers = nn.Sequential(*layers)

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        return torch.tanh(self.layers(latents.unsqueeze(2).unsqueeze(3)))


class Discriminator(nn.Module):
    """No batch normalisation: running statistics would not survive a swap."""

    def __init__(self, image):
        super().__init__()
        channels, height, _ = image
        layers, out = [], WIDTH
        for _ in range(blocks(height)):
            layers += [nn.Conv2d(channels, out, 4, 2, 1), nn.LeakyReLU(0.2)]
            channels, out = out, 2 * out
        self.layers = nn.Sequential(*layers)
        self.fc = nn.Linear(channels * SMALLEST * SMALLEST, 1)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        return self.fc(self.layers(images).flatten(1))[:, 0]


class Model(nn.Module):
    def __init__(self, image, latent):
        super().__init__()
        self.generator = Generator(image, latent)
        self.discriminator = Discriminator(image)
        # First weights are drawn from the run's seed, N(0, 0.02).
        # Without this line training begins with those in the file.
        self.initial_law = "dcgan"


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("--image", default="3x64x64", metavar="CxHxW")
    p.add_argument("--latent", type=int, default=100, metavar="N")
    p.add_argument("--out", default="dcgan.pt", metavar="FILE")
    a = p.parse_args()
    image = tuple(int(side) for side in a.image.split("x"))
    torch.jit.script(Model(image, a.latent)).save(a.out)


if __name__ == "__main__":
    main()
