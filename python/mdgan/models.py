"""The generators of common/models, layer by layer, under the same names.

Each network is the chain of its children: every child makes one tensor of one
tensor, so that torch.jit.script and torch.onnx.export read them as they are.
"""
from typing import Final, List, Optional, Tuple

import torch
from torch import Tensor, nn


class Generator(nn.Module):
    """A generator of images.

    latent       length of a latent, whose values are N(0, 1)
    image_shape  (channels, height, width)
    classes      the classes' names, in the order of their numbers; empty where
                 images have none that one could ask for
    conditional  whether forward() takes labels
    seed         that of the run's own pictures
    """

    conditional: Final[bool]
    classes: List[str]
    image_shape: Tuple[int, int, int]
    latent: int
    seed: int

    def __init__(self, image_shape, latent, classes, seed):
        super().__init__()
        self.image_shape = tuple(image_shape)
        self.latent = latent
        self.classes = list(classes)
        self.conditional = len(self.classes) > 0
        self.seed = seed
        self.build(*self.image_shape)
        if self.conditional:
            self.embedding = nn.Embedding(len(self.classes), latent,
                                          device="meta")

    def build(self, channels: int, height: int, width: int):
        """Registers the layers that make images of latents, in their order."""
        raise NotImplementedError

    def forward(self, z: Tensor, labels: Optional[Tensor] = None) -> Tensor:
        """Images [n, c, h, w] in [-1, 1] of latents [n, latent] and, where the
        generator is conditional, labels [n] int64, which are numbers of
        classes."""
        x = z
        if self.conditional:
            if labels is None:
                raise ValueError("this generator is conditional: it needs labels")
            x = x * self.embedding(labels)
        for name, layer in self.named_children():
            if name != "embedding":
                x = layer(x)
        return x


class Shape(nn.Module):
    """Makes [n, *shape] of [n, values]."""

    def __init__(self, *shape):
        super().__init__()
        self.shape: Tuple[int, int, int] = shape

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(-1, self.shape[0], self.shape[1], self.shape[2])


# Layers are made without memory (on "meta"): it is allocated when the file that is
# to fill them is known to have their shapes.
def linear(inputs, outputs):
    return nn.Linear(inputs, outputs, device="meta")


def conv(inputs, outputs, size=3, padding=1, bias=True, groups=1):
    return nn.Conv2d(inputs, outputs, size, padding=padding, bias=bias,
                     groups=groups, device="meta")


def leaky():
    return nn.LeakyReLU(0.2)


class Mlp(Generator):
    def build(self, channels, height, width):
        self.fc1 = linear(self.latent, 512)
        self.leaky1 = leaky()
        self.fc2 = linear(512, 512)
        self.leaky2 = leaky()
        self.fc3 = linear(512, channels * height * width)
        self.tanh = nn.Tanh()
        self.image = Shape(channels, height, width)

    @staticmethod
    def fits(channels, height, width):
        return channels * height * width <= 262144


class AcganCnn(Generator):
    """Transposed convolutions that each double the image's sides."""

    widths = ()

    def build(self, channels, height, width):
        count = len(self.widths)
        start = (self.widths[0], height >> count, width >> count)
        self.fc = linear(self.latent, start[0] * start[1] * start[2])
        self.start = Shape(*start)
        ends = (*self.widths[1:], channels)
        for i, (inputs, outputs) in enumerate(zip(self.widths, ends), 1):
            self.add_module(f"leaky{i}", leaky())
            self.add_module(f"deconv{i}", nn.ConvTranspose2d(
                inputs, outputs, 5, 2, padding=2, output_padding=1,
                device="meta"))
        self.tanh = nn.Tanh()

    @classmethod
    def fits(cls, _, height, width):
        return all(8 <= side <= 128 and side % 2 ** len(cls.widths) == 0
                   for side in (height, width))


class MnistCnn(AcganCnn):
    widths = (128, 32)


class Cifar10Cnn(AcganCnn):
    widths = (384, 192, 96)


class Dcgan(Generator):
    def build(self, channels, height, width):
        def deconv(inputs, outputs, stride=2, padding=1):
            return nn.ConvTranspose2d(inputs, outputs, 4, stride, padding,
                                      bias=False, device="meta")
        self.start = Shape(self.latent, 1, 1)
        outputs = 8 * height
        self.deconv1 = deconv(self.latent, outputs, stride=1, padding=0)
        i = 1
        while outputs >= 64:
            inputs, outputs = outputs, outputs // 2
            self.add_module(f"norm{i}", nn.BatchNorm2d(inputs, device="meta"))
            self.add_module(f"relu{i}", nn.ReLU())
            i += 1
            self.add_module(f"deconv{i}", deconv(
                inputs, outputs if inputs > 64 else channels))
        self.tanh = nn.Tanh()

    @staticmethod
    def fits(_, height, width):
        return height == width and height in (32, 64, 128)


class ResidualBlock(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        between = min(inputs, outputs)
        self.leaky0 = leaky()
        self.conv0 = conv(inputs, between)
        self.leaky1 = leaky()
        self.conv1 = conv(between, outputs)
        self.shortcut = nn.Identity()
        if inputs != outputs:
            self.shortcut = conv(inputs, outputs, size=1, padding=0, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        change = self.conv1(self.leaky1(self.conv0(self.leaky0(x))))
        return self.shortcut(x) + 0.1 * change


class Resnet(Generator):
    def build(self, channels, height, width):
        inputs = min(512, 16 * height)
        self.fc = linear(self.latent, inputs * 4 * 4)
        self.start = Shape(inputs, 4, 4)
        side, i = 4, 1
        while side <= height:
            outputs = min(512, 64 * height // side)
            if i > 1:
                self.add_module(f"upsample{i}", nn.Upsample(scale_factor=2.0))
            self.add_module(f"block{i}", ResidualBlock(inputs, outputs))
            inputs, side, i = outputs, 2 * side, i + 1
        self.leaky = leaky()
        self.conv = conv(inputs, channels)
        self.tanh = nn.Tanh()

    @staticmethod
    def fits(_, height, width):
        return height == width and height in (32, 64)


class R3ganBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        between = 2 * channels
        self.conv1 = conv(channels, between, size=1, padding=0)
        self.leaky1 = leaky()
        self.conv2 = conv(between, between, groups=between // 16)
        self.leaky2 = leaky()
        self.conv3 = conv(between, channels, size=1, padding=0, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        change = self.leaky2(self.conv2(self.leaky1(self.conv1(x))))
        return x + self.conv3(change)


class R3gan(Generator):
    def build(self, channels, height, width):
        inputs = min(256, 8 * height)
        self.fc = linear(self.latent, inputs)
        self.start = Shape(inputs, 1, 1)
        self.basis = nn.ConvTranspose2d(inputs, inputs, 4, groups=inputs,
                                        bias=False, device="meta")
        side, i = 4, 0
        while side <= height:
            outputs = min(256, 32 * height // side)
            if i > 0:
                self.add_module(f"to{i}", conv(inputs, outputs, size=1, padding=0,
                                               bias=False))
                self.add_module(f"upsample{i}", nn.Upsample(
                    scale_factor=2.0, mode="bilinear", align_corners=False))
            for j in (1, 2):
                self.add_module(f"stage{i}_block{j}", R3ganBlock(outputs))
            inputs, side, i = outputs, 2 * side, i + 1
        self.conv = conv(inputs, channels, size=1, padding=0)
        self.tanh = nn.Tanh()

    @staticmethod
    def fits(_, height, width):
        return height == width and height in (32, 64)


class Dirac(Generator):
    """One value, whatever the latent."""

    def build(self, channels, height, width):
        self.theta = nn.Parameter(torch.empty(1, device="meta"))

    def forward(self, z: Tensor, labels: Optional[Tensor] = None) -> Tensor:
        return self.theta.reshape(1, 1, 1, 1).repeat(z.shape[0], 1, 1, 1)

    @staticmethod
    def fits(channels, height, width):
        return channels * height * width == 1


MODELS = {"mlp": Mlp, "mnist-cnn": MnistCnn, "cifar10-cnn": Cifar10Cnn,
          "dcgan": Dcgan, "resnet": Resnet, "r3gan": R3gan, "dirac": Dirac}
