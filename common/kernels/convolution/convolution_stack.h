// The convolutions a discriminator begins with, each followed by LeakyReLU.
#pragma once

#include <torch/torch.h>

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "common/kernels/convolution/convolution.h"

namespace mdgan {

class ConvolutionStack {
 public:
  // REQUIRES: it has a bias, and what convolve() requires
  // (common/convolution/convolution.h) holds.
  void push_back(torch::nn::Conv2d layer);
  std::size_t size() const { return layers_.size(); }

  // Images [n, c, h, w] float32 through all layers: y = leaky(convolve(layer,
  // x)) for each in turn. On the CPU LibTorch brings images into oneDNN's order
  // and back at every layer; where the build has oneDNN itself (`--version`
  // says) they stay in the orders of its passes from the first layer to the
  // last, and layers that halve an image take fewer products
  // (common/convolution/convolution_passes.h). Can be differentiated any number
  // of times, and follows precision(). Throws c10::Error if sizes do not fit.
  // REQUIRES: images are not computed from the layers' parameters.
  torch::Tensor forward(const torch::Tensor& images) const;

  // Who trains need not bring the weights into the passes' order and their
  // gradients back at every step. This brings them into the order in which
  // those come for images like these, where forward() goes by such passes; else
  // they stay. So it does with what lies at their places in `buffers`, each
  // [P]: the one that all parameters are views of (flatten_parameters()) and
  // what is kept beside it, as moments are. forward() and its gradients then
  // mean that order, with the same bits, until make_plain(), for images of
  // these sides in any number; a second derivative, LayerByLayerGuard and other
  // precisions throw c10::Error.
  void order_weights(const torch::Tensor& images,
                     const std::vector<torch::Tensor>& buffers);
  // Row by row again, as everyone else takes them to be.
  void make_plain(const std::vector<torch::Tensor>& buffers);

 private:
  // Weights and biases in turn, and what else makes a layer.
  std::pair<std::vector<torch::Tensor>, std::vector<ConvolutionGeometry>>
  parts() const;
  // Into the order for images of these sides; none: plain.
  void reorder_weights(std::vector<std::int64_t> images,
                       const std::vector<torch::Tensor>& buffers);

  std::vector<torch::nn::Conv2d> layers_;
  // The sides of the images that the weights are ordered for; none: plain.
  std::vector<std::int64_t> ordered_for_;
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
