// The layers that a network from a TorchScript file consists of, read from the
// operations of its forward().
#pragma once

#include <torch/script.h>

#include <optional>
#include <vector>

#include "common/models/script_kernels.h"

namespace mdgan {

struct ScriptLayers {
  enum class Outputs {
    kImages,           // of the last layer, through tanh
    kLogits,           // all of the last layer, or its first
    kLogitsAndClasses  // its first, and the others
  };
  // Each is followed by LeakyReLU 0.2.
  std::vector<KernelDiscriminator::Convolution> convolutions;
  // The linear layers' weights and biases in turn, LeakyReLU 0.2 between them.
  std::vector<torch::Tensor> layers;
  // By whose rows the input is multiplied; undefined: by none.
  torch::Tensor embedding;
  Outputs outputs{};
};

// None unless forward() is understood whole. Shapes are not looked at. What
// LibTorch's passes throw, it throws.
std::optional<ScriptLayers> read_layers(const torch::jit::Module& network);

}  // namespace mdgan
