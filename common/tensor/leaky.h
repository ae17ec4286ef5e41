#pragma once

#include <torch/torch.h>

#include "common/tensor/leaky_slope.h"

namespace mdgan {

// LeakyReLU, the activation of the paper's networks.
torch::Tensor leaky(const torch::Tensor& x);
// The same in place, for a tensor whose values nobody needs any more.
torch::Tensor leaky_(torch::Tensor x);

}  // namespace mdgan
