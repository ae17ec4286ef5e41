#include "common/kernels/convolution/convolution_stack.h"

#include <cstddef>
#include <utility>

#include "common/kernels/convolution/backend.h"
#include "common/kernels/convolution/convolution.h"

namespace mdgan {
namespace {

using torch::Tensor;
using torch::autograd::tensor_list;

thread_local bool layer_by_layer = false;

}  // namespace

void ConvolutionStack::push_back(const torch::nn::Conv2d& layer) {
  push_back(layer->weight, layer->bias, geometry_of(layer));
}

void ConvolutionStack::push_back(const Tensor& weight, const Tensor& bias,
                                 const ConvolutionGeometry& geometry) {
  parameters_.push_back(weight);
  parameters_.push_back(bias);
  geometries_.push_back(geometry);
}

Tensor ConvolutionStack::forward(const Tensor& images) const {
  if (!layer_by_layer) {
    const Tensor y =
        backend::run_stack(images, parameters_, geometries_, layout_);
    if (y.defined()) return y;
  }
  TORCH_CHECK(
      layout_.empty(),
      "weights in the backend's layouts do not serve LibTorch's layers");
  return convolve_in_turn(images, parameters_, geometries_);
}

void ConvolutionStack::to_fastest_layout(const Tensor& images,
                                         const tensor_list& buffers) {
  if (layer_by_layer) return;
  convert_weights(backend::fastest_layout(images, parameters_, layout_),
                  buffers);
}

void ConvolutionStack::to_row_major(const tensor_list& buffers) {
  convert_weights({}, buffers);
}

void ConvolutionStack::convert_weights(std::vector<std::int64_t> layout,
                                       const tensor_list& buffers) {
  if (layout == layout_) return;
  tensor_list before, after;
  for (const Tensor& buffer : buffers) {
    tensor_list weights;
    for (std::size_t i = 0; i < geometries_.size(); ++i) {
      const Tensor& weight = parameters_[2 * i];
      weights.push_back(
          buffer.narrow(0, weight.storage_offset(), weight.numel()));
    }
    const tensor_list converted =
        backend::convert(weights, parameters_, geometries_, layout_, layout);
    before.insert(before.end(), weights.begin(), weights.end());
    after.insert(after.end(), converted.begin(), converted.end());
  }
  // Only now, when no allocation can fail any more: all of them or none.
  for (std::size_t i = 0; i < before.size(); ++i) before[i].copy_(after[i]);
  layout_ = std::move(layout);
}

LayerByLayerGuard::LayerByLayerGuard()
    : before_(std::exchange(layer_by_layer, true)) {}

LayerByLayerGuard::~LayerByLayerGuard() { layer_by_layer = before_; }

}  // namespace mdgan
