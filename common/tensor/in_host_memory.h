// Tensors of a device, brought to the host together.
#pragma once

#include <torch/types.h>

#include <vector>

namespace mdgan {

// The tensors in CPU memory, contiguous and without a graph: themselves where
// they are there, and views of one copy where they are on a device, which is
// waited for once. REQUIRES: float32, on one device; there is one.
std::vector<torch::Tensor> in_host_memory(
    const std::vector<torch::Tensor>& tensors);

}  // namespace mdgan
