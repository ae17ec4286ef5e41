// Convolutions that compute what LibTorch's layers do, by a shorter way on the
// CPU, where LibTorch runs convolutions on oneDNN but transposed ones on its
// own sums of matrix products:
//  - A transposed convolution is the gradient of a convolution by its input,
//    and its gradients are a convolution and the gradient of one by its
//    weights. oneDNN does all three, in half the time. For images of one pixel
//    without padding, as a generator's first layer has them, it is one GEMM;
//    where it doubles an image, a backend may have a shorter way (backend.h).
//  - Conversely, oneDNN pads images of few channels to a whole vector of
//    channels, so that their gradient is faster as a transposed convolution.
// On other devices than the CPU these are LibTorch's own layers. Both can be
// differentiated any number of times, and follow precision()
// (common/tensor/precision.h).
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <vector>

namespace mdgan {

// layer.forward(x). REQUIRES, both: one group, dilation 1, padding with zeros,
// the same in both directions.
torch::Tensor convolve(torch::nn::Conv2d& layer, const torch::Tensor& x);
torch::Tensor deconvolve(torch::nn::ConvTranspose2d& layer,
                         const torch::Tensor& x);

// --- a convolution by its parts ----------------------------------------------

struct ConvolutionGeometry {
  std::int64_t stride = 1;
  std::int64_t padding = 0;
};
ConvolutionGeometry geometry_of(const torch::nn::Conv2d& layer);

// convolve() above: x [n, in, h, w], weight [out, in, k, k], bias [out] or
// undefined.
torch::Tensor convolve(const torch::Tensor& x, const torch::Tensor& weight,
                       const torch::Tensor& bias,
                       const ConvolutionGeometry& geometry);

// deconvolve() above: x [n, in, h, w], weight [in, out, k, k], bias [out] or
// undefined.
torch::Tensor deconvolve(const torch::Tensor& x, const torch::Tensor& weight,
                         const torch::Tensor& bias,
                         const ConvolutionGeometry& geometry,
                         std::int64_t output_padding);

// Passes x through all layers, each followed by LeakyReLU. `parameters` has the
// weight and the bias of each layer in turn.
torch::Tensor convolve_in_turn(
    torch::Tensor x, at::TensorList parameters,
    const std::vector<ConvolutionGeometry>& geometries);

// The gradient by x of a loss whose gradient by convolve(x, ...) is y_gradient.
torch::Tensor image_gradient(const torch::Tensor& y_gradient,
                             const torch::Tensor& x,
                             const torch::Tensor& weight,
                             const ConvolutionGeometry& geometry);

}  // namespace mdgan
