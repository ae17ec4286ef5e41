// All the parameters of a module in one contiguous buffer, in the order of
// named_parameters(), each row-major: the order of the schema. A swap or an
// optimiser step is then one pass over one array.
#pragma once

#include <torch/torch.h>

#include <vector>

namespace mdgan {

// Makes every parameter a view into one new buffer [P], which is returned; the
// values stay. Call it after module.to(device), which would undo it.
// REQUIRES: all parameters are float32 and on one device; there is one.
torch::Tensor flatten_parameters(torch::nn::Module& module);

// The gradient of `output` by each parameter: contiguous, and zero where the
// output does not depend on it. `weights`, of the output's shape, are the
// gradient of a scalar by the output; undefined if the output is a scalar.
std::vector<torch::Tensor> gradients_of(
    const torch::Tensor& output, const torch::Tensor& weights,
    const std::vector<torch::Tensor>& parameters);

}  // namespace mdgan
