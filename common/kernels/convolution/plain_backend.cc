// The backend of builds without oneDNN's own interface: LibTorch does it all.
#include "common/kernels/convolution/backend.h"
#include "common/kernels/convolution/backend_name.h"

namespace mdgan::backend {

using torch::Tensor;
using torch::autograd::tensor_list;
using Geometries = std::vector<ConvolutionGeometry>;

std::string name() { return "layer by layer, by LibTorch"; }

bool has_own_layouts() { return false; }

Tensor deconvolve(const Tensor&, const Tensor&, torch::IntArrayRef,
                  const ConvolutionGeometry&) {
  return {};
}

Tensor deconvolution_image_gradient(const Tensor&, const Tensor&, const Tensor&,
                                    const ConvolutionGeometry&) {
  return {};
}

Tensor deconvolution_weight_gradient(const Tensor&, const Tensor&,
                                     const Tensor&,
                                     const ConvolutionGeometry&) {
  return {};
}

Tensor with_layout_of(const Tensor&, const Tensor& images) { return images; }

Tensor run_stack(const Tensor&, const tensor_list&, const Geometries&,
                 const WeightLayout&) {
  return {};
}

WeightLayout fastest_layout(const Tensor&, const tensor_list&,
                            const WeightLayout& now) {
  return now;
}

tensor_list convert(const tensor_list& values, const tensor_list&,
                    const Geometries&, const WeightLayout&,
                    const WeightLayout&) {
  return values;
}

}  // namespace mdgan::backend
