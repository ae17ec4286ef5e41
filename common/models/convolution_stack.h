// The convolutions a discriminator begins with, each followed by LeakyReLU.
#pragma once

#include <torch/torch.h>

#include <vector>

namespace mdgan {

// Images [n, c, h, w] float32 through all layers, each with a bias:
// y = leaky(convolve(layer, x)) for each in turn (common/models/convolution.h,
// whose requirements hold). On the CPU LibTorch brings images into oneDNN's
// order and back at every layer; where the build has oneDNN itself (`--version`
// says) they stay in its orders from the first layer to the last. Can be
// differentiated any number of times, and follows precision(). Throws
// c10::Error if sizes do not fit. REQUIRES: images are not computed from the
// layers' parameters.
torch::Tensor convolve_stack(std::vector<torch::nn::Conv2d>& layers,
                             const torch::Tensor& images);

// While one lives, convolve_stack() in this thread goes layer by layer. For
// penalties: what differentiates a gradient again would else repeat the forward
// pass to do so.
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
