// Linear layers that compute what LibTorch's do with the products of
// common/dense: for the few samples of a batch these take a third of the time
// of a general BLAS, which packs the weights first. Where those do not apply
// (not on the CPU, not float32, not a batch of vectors) they are LibTorch's
// own. They can be differentiated any number of times.
#pragma once

#include <torch/torch.h>

namespace mdgan {

// layer.forward(x), x [n, in] -> [n, out].
torch::Tensor linear(torch::nn::Linear& layer, const torch::Tensor& x);

}  // namespace mdgan
