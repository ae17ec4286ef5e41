// The transposed convolution that doubles an image, with a kernel of 4x4,
// stride 2 and padding 1, as a generator has it: the gradient, by its image, of
// the convolution that halves one (halving_convolution.h).
// For float32 on the CPU, without bias; takes no part in autograd. Only in
// builds with the oneDNN backend.
#pragma once

#include <torch/torch.h>

#include "common/kernels/convolution/convolution.h"

namespace mdgan {

// Whether a transposed convolution of x with this weight [in, out, k, k] to
// images of these sides [n, out, h, w] is one, and large enough.
bool is_doubling(const torch::Tensor& x, const torch::Tensor& weight,
                 torch::IntArrayRef sides, const ConvolutionGeometry& geometry);

// REQUIRES, all three: is_doubling().

// Of x [n, in, h / 2, w / 2]: [n, out, h, w], with all channels of a pixel
// together (LibTorch's channels-last).
torch::Tensor double_image(const torch::Tensor& x, const torch::Tensor& weight);
// The gradient by x, from that by the result. All channels of a pixel together.
torch::Tensor doubling_image_gradient(const torch::Tensor& of_result,
                                      const torch::Tensor& weight);
// The gradient by the weight, row by row.
torch::Tensor doubling_weight_gradient(const torch::Tensor& x,
                                       const torch::Tensor& of_result);

// The same float32 images in the order that `like` has them in: with all
// channels of a pixel together, or else row by row. LibTorch's contiguous()
// does it several times as slowly.
torch::Tensor in_layout_of(const torch::Tensor& like,
                           const torch::Tensor& images);

}  // namespace mdgan
