// Which networks from a TorchScript file are what the kernels of a model of
// ours compute (common/kernels/): such a network is trained by them, as fast as
// that model. Any other is executed, operation by operation, but for its
// convolutions, which are computed as ours are.
#pragma once

#include <torch/script.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "common/kernels/convolution/convolution.h"
#include "protocol/training_spec.h"

namespace mdgan {

struct KernelGenerator {
  std::vector<std::size_t> widths;  // as dense_widths() in model.h
  // By whose rows the latents are multiplied, [classes, latent]; undefined: it
  // uses no labels.
  torch::Tensor embedding;
};

// Convolutions, or none, each followed by LeakyReLU 0.2, then dense layers with
// LeakyReLU 0.2 between them.
struct KernelDiscriminator {
  struct Convolution {
    torch::Tensor weight, bias;
    ConvolutionGeometry geometry;
  };
  std::vector<Convolution> convolutions;
  std::vector<torch::Tensor> layers;  // weights and biases in turn
  // Without convolutions, as dense_widths() in model.h.
  std::vector<std::size_t> widths;
};

// Features [n, f] through dense layers, with LeakyReLU 0.2 between them.
// `layers` has weights and biases in turn.
torch::Tensor dense_in_turn(const std::vector<torch::Tensor>& layers,
                            torch::Tensor x);

// Reads the operations of forward(). Returns none unless they are: latents,
// multiplied by an embedding's rows or not; linear layers with LeakyReLU 0.2
// between them; tanh; and for an image [c, h, w] alone, changes of shape.
//
// Both require, else return none: no buffers; all parameters take part, in the
// order of `parameters`; and at other values of these, which are restored, the
// network gives what the kernels compute, within rounding.
std::optional<KernelGenerator> find_generator_kernels(
    const torch::jit::Module& network,
    const std::vector<torch::Tensor>& parameters, std::uint32_t latent);

// Likewise: convolutions, each followed by LeakyReLU 0.2, or none; changes of
// shape; linear layers, each but the last followed by LeakyReLU 0.2; and of its
// outputs the first for logits, with ACGAN the others for class logits. A
// network with projection is none.
std::optional<KernelDiscriminator> find_discriminator_kernels(
    const torch::jit::Module& network,
    const std::vector<torch::Tensor>& parameters, const ImageShape& image,
    Condition condition);

// The operations of the network's forward(), in which convolutions and
// transposed ones are those of common/kernels/convolution where these can do
// them.
std::shared_ptr<torch::jit::Graph> with_our_convolutions(
    const torch::jit::Module& network);

}  // namespace mdgan
