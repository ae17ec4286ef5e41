// Convolutions that compute what LibTorch's layers do, by a shorter way on the
// CPU, where LibTorch runs convolutions on oneDNN but transposed ones on its
// own sums of matrix products:
//  - A transposed convolution is the gradient of a convolution by its input,
//    and its gradients are a convolution and the gradient of one by its
//    weights. oneDNN does all three, in half the time.
//  - The other way round, oneDNN pads images of few channels to a vector of
//    them, so that their gradient is faster as a transposed convolution.
// Elsewhere than on the CPU these are LibTorch's own. Both can be
// differentiated any number of times, and follow precision()
// (common/tensor/precision.h).
#pragma once

#include <torch/torch.h>

namespace mdgan {

// layer.forward(x). REQUIRES, both: one group, dilation 1, padding with zeros,
// the same in both directions.
torch::Tensor convolve(torch::nn::Conv2d& layer, const torch::Tensor& x);
torch::Tensor deconvolve(torch::nn::ConvTranspose2d& layer,
                         const torch::Tensor& x);

}  // namespace mdgan
