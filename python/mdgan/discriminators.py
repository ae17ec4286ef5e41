"""The discriminators of common/models, layer by layer, under the same names and in
the same order: a peer's checkpoint has all their values in one row.
"""
from typing import Optional, Tuple

import torch
from torch import Tensor, nn

from .models import R3ganBlock, ResidualBlock, conv, leaky, linear

KERNELS = 16  # of minibatch discrimination, each of four values


class Discriminator(nn.Module):
    """Judges images.

    image_shape  (channels, height, width)
    conditional  whether forward() takes labels
    """

    image_shape: Tuple[int, int, int]
    head = "fc"  # the name of the last layer

    def __init__(self, image_shape, condition, classes):
        super().__init__()
        self.image_shape = tuple(image_shape)
        self.conditional = condition == "projection"
        width = self.build(*self.image_shape)
        outputs = 1 + classes if condition == "acgan" else 1
        self.add_module(self.head, linear(width, outputs))
        if self.conditional:
            self.embedding = nn.Linear(width, classes, bias=False,
                                       device="meta")

    def build(self, channels: int, height: int, width: int):
        """Registers the layers before the last one; returns how many values they
        make of an image."""
        raise NotImplementedError

    def features(self, images: Tensor) -> Tensor:
        """What build()'s layers make of images, [n, values]."""
        raise NotImplementedError

    def forward(self, images: Tensor, labels: Optional[Tensor] = None) -> Tensor:
        """Logits [n]: above 0 for what looks real. Images [n, c, h, w] in [-1, 1],
        and, where the discriminator is conditional, labels [n] int64. Each image
        is judged by itself, also by models that compare those of a batch."""
        seen = self.features(images)
        logits = getattr(self, self.head)(seen)[:, 0]
        if self.conditional:
            if labels is None:
                raise ValueError("this discriminator is conditional: it needs "
                                 "labels")
            logits = logits + (self.embedding.weight[labels] * seen).sum(1)
        return logits


class Mlp(Discriminator):
    head = "fc3"

    def build(self, channels, height, width):
        self.fc1 = linear(channels * height * width, 512)
        self.fc2 = linear(512, 512)
        return 512

    def features(self, images):
        x = nn.functional.leaky_relu(self.fc1(images.flatten(1)), 0.2)
        return nn.functional.leaky_relu(self.fc2(x), 0.2)


class AcganCnn(Discriminator):
    def build(self, channels, height, width):
        inputs = channels
        for i, outputs in enumerate((16, 32, 64, 128, 256, 512)):
            stride = 2 if i % 2 == 0 else 1
            self.add_module(f"conv{i + 1}", nn.Conv2d(
                inputs, outputs, 3, stride, padding=1, device="meta"))
            inputs = outputs
            height, width = (-(-side // stride) for side in (height, width))
        flat = inputs * height * width
        self.minibatch = nn.Linear(flat, 4 * KERNELS, bias=False, device="meta")
        return flat + KERNELS

    def features(self, images):
        x = images
        for i in range(1, 7):
            x = nn.functional.leaky_relu(getattr(self, f"conv{i}")(x), 0.2)
        x = x.flatten(1)
        # An image's likeness to itself, the only one of its batch, is 1.
        return torch.cat((x, x.new_ones(len(x), KERNELS)), 1)


class Dcgan(Discriminator):
    def build(self, channels, height, width):
        self.count = 0
        inputs, outputs, side = channels, 64, height
        while side > 4:
            self.count += 1
            self.add_module(f"conv{self.count}", nn.Conv2d(
                inputs, outputs, 4, 2, padding=1, device="meta"))
            inputs, outputs, side = outputs, 2 * outputs, side // 2
        return inputs * 4 * 4

    def features(self, images):
        x = images
        for i in range(1, self.count + 1):
            x = nn.functional.leaky_relu(getattr(self, f"conv{i}")(x), 0.2)
        return x.flatten(1)


class Resnet(Discriminator):
    def build(self, channels, height, width):
        self.conv = conv(channels, 64)
        self.leaky = leaky()
        self.count = 0
        inputs, side = 64, height
        while side >= 4:
            self.count += 1
            outputs = min(512, 64 * height // side)
            self.add_module(f"block{self.count}", ResidualBlock(inputs, outputs))
            inputs, side = outputs, side // 2
        return inputs * 4 * 4

    def features(self, images):
        x = self.conv(images)
        for i in range(1, self.count + 1):
            if i > 1:
                x = nn.functional.avg_pool2d(x, 2)
            x = getattr(self, f"block{i}")(x)
        return self.leaky(x).flatten(1)


class R3gan(Discriminator):
    def build(self, channels, height, width):
        inputs, side = 32, height
        self.conv = conv(channels, inputs, size=1, padding=0)
        self.count = 0
        while side >= 4:
            outputs = min(256, 32 * height // side)
            if self.count > 0:
                self.add_module(f"to{self.count}", conv(
                    inputs, outputs, size=1, padding=0, bias=False))
            for j in (1, 2):
                self.add_module(f"stage{self.count}_block{j}", R3ganBlock(outputs))
            inputs, side = outputs, side // 2
            self.count += 1
        self.basis = conv(inputs, inputs, size=4, padding=0, bias=False,
                          groups=inputs)
        return inputs

    def features(self, images):
        x = self.conv(images)
        for i in range(self.count):
            if i > 0:
                x = getattr(self, f"to{i}")(nn.functional.avg_pool2d(x, 2))
            for j in (1, 2):
                x = getattr(self, f"stage{i}_block{j}")(x)
        return self.basis(x).flatten(1)


DISCRIMINATORS = {"mlp": Mlp, "mnist-cnn": AcganCnn, "cifar10-cnn": AcganCnn,
                  "dcgan": Dcgan, "resnet": Resnet, "r3gan": R3gan}
