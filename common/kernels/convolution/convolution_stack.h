// The convolutions a discriminator begins with, each followed by LeakyReLU.
#pragma once

#include <torch/torch.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/kernels/convolution/convolution.h"

namespace mdgan {

class ConvolutionStack {
 public:
  // REQUIRES: it has a bias, and what convolve() requires
  // (convolution.h) holds.
  void push_back(const torch::nn::Conv2d& layer);
  void push_back(const torch::Tensor& weight, const torch::Tensor& bias,
                 const ConvolutionGeometry& geometry);
  std::size_t size() const { return geometries_.size(); }

  // Images [n, c, h, w] float32 through all layers: y = leaky(convolve(layer,
  // x)) for each in turn. On the CPU LibTorch converts images to oneDNN's
  // layouts and back at every layer; where the build has oneDNN itself
  // (`--version` says) they stay in the layouts of its passes from the first
  // layer to the last, and layers that halve an image take fewer products
  // (backend.h). Can be differentiated any number of times, and follows
  // precision(). Throws c10::Error if sizes do not fit.
  // REQUIRES: images are not computed from the layers' parameters.
  torch::Tensor forward(const torch::Tensor& images) const;

  // Training need not convert the weights to the passes' layouts and their
  // gradients back at every step: this converts the weights once, to the
  // layouts that are fastest for such images, where forward() goes by such
  // passes; else they stay. It converts the same elements of all `buffers`,
  // each [P]: the one that all parameters are views of (flatten_parameters())
  // and what is kept beside it, as moments are. forward() and its gradients
  // then take and give those layouts, with the same bits, until to_row_major(),
  // for any number of images of these dims; a second derivative,
  // LayerByLayerGuard and other precisions throw c10::Error.
  void to_fastest_layout(const torch::Tensor& images,
                         const std::vector<torch::Tensor>& buffers);
  // Converts them back to row-major, which everybody else expects.
  void to_row_major(const std::vector<torch::Tensor>& buffers);

 private:
  void convert_weights(std::vector<std::int64_t> layout,
                       const std::vector<torch::Tensor>& buffers);

  std::vector<torch::Tensor> parameters_;  // weights and biases in turn
  std::vector<ConvolutionGeometry> geometries_;
  std::vector<std::int64_t> layout_;  // backend::WeightLayout of the weights
};

// While one lives, ConvolutionStack::forward() in this thread goes layer by
// layer. For penalties: what differentiates a gradient again would else repeat
// the forward pass to do so.
class LayerByLayerGuard {
 public:
  LayerByLayerGuard();
  ~LayerByLayerGuard();
  LayerByLayerGuard(const LayerByLayerGuard&) = delete;
  LayerByLayerGuard& operator=(const LayerByLayerGuard&) = delete;

 private:
  const bool before_;
};

}  // namespace mdgan
