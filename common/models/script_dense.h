// Which networks from a TorchScript file are what the kernels for dense layers
// compute (common/kernels/dense/dense_stack.h): such a network is trained by
// them, as fast as a model of ours. Any other is executed, operation by
// operation.
#pragma once

#include <torch/script.h>

#include <cstddef>
#include <optional>
#include <vector>

#include "protocol/training_spec.h"

namespace mdgan {

struct DenseScript {
  std::vector<std::size_t> widths;  // as dense_widths() in model.h
  // The generator's, by whose rows the latents are multiplied, [classes,
  // latent]; undefined: it uses no labels.
  torch::Tensor embedding;
};

// Reads the operations of forward(). Returns none unless they are: latents,
// multiplied by an embedding's rows or not; linear layers with LeakyReLU 0.2
// between them; tanh; and for an image [c, h, w] alone, changes of shape.
//
// Both require, else return none: no buffers; all parameters take part, in the
// order of `parameters`; and at other values of these, which are restored, the
// network gives what the kernels compute, within rounding.
std::optional<DenseScript> find_dense_generator(
    const torch::jit::Module& network,
    const std::vector<torch::Tensor>& parameters, std::uint32_t latent);

// Likewise: changes of an image's shape; linear layers, each followed by
// LeakyReLU 0.2; one more; and of its outputs the first for logits, with ACGAN
// the others for class logits. A network with projection is none.
std::optional<DenseScript> find_dense_discriminator(
    const torch::jit::Module& network,
    const std::vector<torch::Tensor>& parameters, const ImageShape& image,
    Condition condition);

}  // namespace mdgan
