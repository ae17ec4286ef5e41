"""Generators of MD-GAN in PyTorch, and the course of the runs that trained them.

  import mdgan
  model = mdgan.load("runs/00001-mnist-mlp")    # or a checkpoint, or an export
  images = mdgan.sample(model, 16, classes=["7"], seed=1)   # [16, 1, 28, 28]
  table = mdgan.stats("runs/00001-mnist-mlp")   # losses and evaluations by round

`model` is a torch.nn.Module: model(*mdgan.inputs(model, 16)) is what sample()
does, and torch.jit.script(model) and torch.onnx.export(model, ...) take it.
"""
from .loading import load, load_discriminator
from .runs import stats, status
from .safetensors import SafetensorsFile
from .sampling import columns_of, grid, inputs, sample, to_bytes
from .version import __version__

__all__ = ["SafetensorsFile", "columns_of", "grid", "inputs", "load",
           "load_discriminator", "sample", "stats", "status", "to_bytes", "__version__"]
