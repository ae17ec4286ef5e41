// LibTorch's linear layers, computed by the kernels of common/kernels/dense:
// these are faster for the few samples of a batch, for which a general BLAS
// packs all weights first. Where they do not apply (many samples, another
// device than the CPU, another type than float32) LibTorch's own layer
// computes. The result can be differentiated any number of times.
#pragma once

#include <torch/torch.h>

namespace mdgan {

// layer.forward(x), x [n, in] -> [n, out].
torch::Tensor linear(const torch::nn::Linear& layer, const torch::Tensor& x);
// The same by its parts: weight [out, in], bias [out] or undefined.
torch::Tensor linear(const torch::Tensor& x, const torch::Tensor& weight,
                     const torch::Tensor& bias);

}  // namespace mdgan
