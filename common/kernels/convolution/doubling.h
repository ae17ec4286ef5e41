// The transposed convolution that doubles an image, with a kernel of 4x4,
// stride 2 and padding 1, as a generator has it: the gradient, by its image, of
// the convolution that halves one (halving_convolution.h).
// It is for float32 on the CPU, without bias, and takes no part in autograd.
// Only builds with the oneDNN backend have it.
#pragma once

#include <torch/torch.h>

#include "common/kernels/convolution/convolution.h"

namespace mdgan {

// Whether the transposed convolution of x with this weight [in, out, k, k] to
// images of dims [n, out, h, w] doubles an image, and is large enough to gain.
bool is_doubling(const torch::Tensor& x, const torch::Tensor& weight,
                 torch::IntArrayRef dims, const ConvolutionGeometry& geometry);

// These three require is_doubling(), and throw dnnl::error or c10::Error if
// memory is wanting.

// x [n, in, h / 2, w / 2] -> [n, out, h, w], in NHWC (LibTorch's
// channels-last).
torch::Tensor double_image(const torch::Tensor& x, const torch::Tensor& weight);
// The gradient by x from the gradient by the result, in NHWC.
torch::Tensor doubling_image_gradient(const torch::Tensor& of_result,
                                      const torch::Tensor& weight);
// The gradient by the weight, row-major.
torch::Tensor doubling_weight_gradient(const torch::Tensor& x,
                                       const torch::Tensor& of_result);

// The same float32 images in the layout of `like`, NHWC or else NCHW.
// LibTorch's contiguous() takes several times as long.
torch::Tensor in_layout_of(const torch::Tensor& like,
                           const torch::Tensor& images);

}  // namespace mdgan
