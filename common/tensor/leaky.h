#pragma once

#include <torch/torch.h>

namespace mdgan {

// The activation of the paper's networks.
inline constexpr double kLeakySlope = 0.2;  // below zero
torch::Tensor leaky(const torch::Tensor& x);
// The same in place, for a tensor that its maker does not need as it was.
torch::Tensor leaky_(torch::Tensor x);

}  // namespace mdgan
