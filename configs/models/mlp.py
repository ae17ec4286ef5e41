#!/usr/bin/env python3
"""Writes a model of one's own, a TorchScript file that mdgan-server takes by
--model script:FILE and mdgan-peer by --model-file FILE. This one is the networks of
--model mlp (common/models/mlp.h), layer by layer, so that both can be compared.

    python3 configs/models/mlp.py --image 1x28x28 --classes 10 --out mlp.pt

What such a model must be is in docs/own-models.md.
"""
import argparse

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

HIDDEN = 512


class Generator(nn.Module):
    def __init__(self, image, latent, classes):
        super().__init__()
        self.channels, self.height, self.width = image
        self.fc1 = nn.Linear(latent, HIDDEN)
        self.fc2 = nn.Linear(HIDDEN, HIDDEN)
        self.fc3 = nn.Linear(HIDDEN, self.channels * self.height * self.width)
        self.embedding = nn.Embedding(classes, latent) if classes else None

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        x = latents
        if self.embedding is not None:
            x = x * self.embedding(labels)
        x = leaky_relu(self.fc1(x), 0.2)
        x = leaky_relu(self.fc2(x), 0.2)
        x = torch.tanh(self.fc3(x))
        return x.view(-1, self.channels, self.height, self.width)


class Discriminator(nn.Module):
    """For --condition none."""

    def __init__(self, image, outputs=1):
        super().__init__()
        channels, height, width = image
        self.fc1 = nn.Linear(channels * height * width, HIDDEN)
        self.fc2 = nn.Linear(HIDDEN, HIDDEN)
        self.fc3 = nn.Linear(HIDDEN, outputs)

    def outputs(self, images: Tensor) -> Tensor:
        x = leaky_relu(self.fc1(images.flatten(1)), 0.2)
        x = leaky_relu(self.fc2(x), 0.2)
        return self.fc3(x)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        return self.outputs(images)[:, 0]


class AcganDiscriminator(Discriminator):
    """For --condition acgan: class logits beside the real/fake logit."""

    def __init__(self, image, classes):
        super().__init__(image, 1 + classes)

    def forward(self, images: Tensor, labels: Tensor):
        x = self.outputs(images)
        return x[:, 0], x[:, 1:]


class Model(nn.Module):
    def __init__(self, image, latent, classes):
        super().__init__()
        self.generator = Generator(image, latent, classes)
        self.discriminator = (AcganDiscriminator(image, classes) if classes
                              else Discriminator(image))
        # First weights are drawn from the run's seed, as PyTorch draws them.
        # Without this line training begins with those in the file.
        self.initial_law = "pytorch"


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("--image", default="1x28x28", metavar="CxHxW")
    p.add_argument("--latent", type=int, default=100, metavar="N")
    p.add_argument("--classes", type=int, default=0, metavar="N",
                   help="for --condition acgan; 0: for --condition none")
    p.add_argument("--out", default="mlp.pt", metavar="FILE")
    a = p.parse_args()
    image = tuple(int(side) for side in a.image.split("x"))
    torch.jit.script(Model(image, a.latent, a.classes)).save(a.out)


if __name__ == "__main__":
    main()
