// What a convolution can be computed by beside LibTorch's layers. A build has
// one backend, which CMake chooses: onednn_backend.cc, on oneDNN's own
// interface, or plain_backend.cc, which leaves everything to LibTorch. Callers
// know of neither. All tensors are float32 unless a function says otherwise;
// none of these takes part in autograd but run_stack().
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <vector>

#include "common/kernels/convolution/convolution.h"

namespace mdgan::backend {

// --- transposed convolutions, without bias -----------------------------------
// y = conv_transpose2d(x, weight), x [n, in, h', w'], weight [in, out, k, k],
// y [n, out, h, w]. Each returns an undefined tensor where the backend has no
// shorter way than LibTorch's for these sizes, devices and types. Images may
// come back as NCHW or NHWC (LibTorch's channels-last). Each throws what
// LibTorch or oneDNN throws if memory is wanting.

// y, of dims `y_dims`.
torch::Tensor deconvolve(const torch::Tensor& x, const torch::Tensor& weight,
                         torch::IntArrayRef y_dims,
                         const ConvolutionGeometry& geometry);
// The gradient by x, in x's layout.
torch::Tensor deconvolution_image_gradient(const torch::Tensor& y_gradient,
                                           const torch::Tensor& x,
                                           const torch::Tensor& weight,
                                           const ConvolutionGeometry& geometry);
// The gradient by the weight.
torch::Tensor deconvolution_weight_gradient(
    const torch::Tensor& y_gradient, const torch::Tensor& x,
    const torch::Tensor& weight, const ConvolutionGeometry& geometry);

// The same images [n, c, h, w] in the layout of `like`, NCHW or NHWC, if the
// backend has a quicker conversion than LibTorch's; else as they are.
torch::Tensor with_layout_of(const torch::Tensor& like,
                             const torch::Tensor& images);

// --- stacks of convolutions --------------------------------------------------

// The layout of a stack's weights: the one that a step on images of these dims
// [n, c, h, w] takes, or, if empty, row-major, which everybody else takes.
using WeightLayout = std::vector<std::int64_t>;

// convolve_in_turn(images, parameters, geometries), with weights in `layout`,
// whose dims may differ from those of the images in n alone. Can be
// differentiated any number of times if the layout is row-major, else once;
// then throws c10::Error. Undefined if the backend leaves these images to
// LibTorch's layers.
torch::Tensor run_stack(const torch::Tensor& images,
                        const std::vector<torch::Tensor>& parameters,
                        const std::vector<ConvolutionGeometry>& geometries,
                        const WeightLayout& layout);

// The layout that a step on such images is fastest with; `now`, which the
// weights have, if the backend leaves them to LibTorch's layers.
WeightLayout fastest_layout(const torch::Tensor& images,
                            const std::vector<torch::Tensor>& parameters,
                            const WeightLayout& now);

// The values of each layer's weight [out, in, k, k], or what is kept beside
// them, from one layout to another. `values` are flat, [out * in * k * k], and
// one for each layer; so are those returned. They may share memory with them.
std::vector<torch::Tensor> convert(
    const std::vector<torch::Tensor>& values,
    const std::vector<torch::Tensor>& parameters,
    const std::vector<ConvolutionGeometry>& geometries,
    const WeightLayout& from, const WeightLayout& to);

}  // namespace mdgan::backend
