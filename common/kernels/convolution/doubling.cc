#include "common/kernels/convolution/doubling.h"

#include "common/kernels/convolution/convolution_passes.h"
#include "common/kernels/convolution/halving_convolution.h"

namespace mdgan {
namespace {

using torch::Tensor;

constexpr auto kNhwc = torch::MemoryFormat::ChannelsLast;

// The size of the convolution that halves images of these dims to `channels`
// channels.
ConvolutionSize halving(torch::IntArrayRef dims, std::int64_t channels) {
  return {dims[0],  dims[1],      dims[2],      dims[3],
          channels, /*kernel=*/4, /*stride=*/2, /*padding=*/1};
}

const ConvolutionPasses& passes(const Tensor& doubled_like,
                                std::int64_t channels) {
  constexpr float kNoActivation = 1;
  return convolution_passes(halving(doubled_like.sizes(), channels),
                            kNoActivation);
}

Tensor empty_nhwc(torch::IntArrayRef dims) {
  return torch::empty(dims, torch::TensorOptions().memory_format(kNhwc));
}

float* values(const Tensor& t) { return t.data_ptr<float>(); }

dnnl::memory memory(const Tensor& t, const dnnl::memory::desc& layout) {
  return {layout, onednn_engine(), values(t)};
}

Tensor to_nhwc(const Tensor& images) {
  if (images.is_contiguous(kNhwc)) return images;
  const auto dims = images.sizes().vec();
  Tensor result = empty_nhwc(dims);
  reorder(memory(images.contiguous(), row_major_layout(dims)),
          memory(result, nhwc_layout(dims)));
  return result;
}

Tensor to_nchw(const Tensor& images) {
  if (!images.is_contiguous(kNhwc)) return images.contiguous();
  const auto dims = images.sizes().vec();
  Tensor result = torch::empty(dims);
  reorder(memory(images, nhwc_layout(dims)),
          memory(result, row_major_layout(dims)));
  return result;
}

}  // namespace

bool is_doubling(const Tensor& x, const Tensor& weight, torch::IntArrayRef dims,
                 const ConvolutionGeometry& geometry) {
  ConvolutionSize size = halving(dims, weight.size(0));
  size.kernel = weight.size(2);
  size.stride = geometry.stride;
  size.padding = geometry.padding;
  const auto is_plain = [](const Tensor& t) {
    return t.is_cpu() && t.scalar_type() == torch::kFloat32;
  };
  return is_plain(x) && is_plain(weight) && is_halving(size) &&
         weight.size(3) == weight.size(2) && x.size(1) == weight.size(0) &&
         dims[2] == 2 * x.size(2) && dims[3] == 2 * x.size(3);
}

Tensor double_image(const Tensor& x, const Tensor& weight) {
  Tensor y =
      empty_nhwc({x.size(0), weight.size(1), 2 * x.size(2), 2 * x.size(3)});
  passes(y, x.size(1))
      .image_gradient(values(to_nhwc(x)), values(to_nhwc(weight)), values(y));
  return y;
}

Tensor doubling_image_gradient(const Tensor& of_result, const Tensor& weight) {
  const auto& by = passes(of_result, weight.size(0));
  Tensor of_x = empty_nhwc(by.result_dims());
  const Tensor no_bias = torch::zeros(weight.size(0));
  by.forward(values(to_nhwc(of_result)), values(to_nhwc(weight)),
             values(no_bias), values(of_x));
  return of_x;
}

Tensor doubling_weight_gradient(const Tensor& x, const Tensor& of_result) {
  const auto& by = passes(of_result, x.size(1));
  const Tensor nhwc = empty_nhwc(by.weight_dims());
  const Tensor of_bias = torch::empty(x.size(1));
  by.weight_gradient(values(to_nhwc(of_result)), values(to_nhwc(x)),
                     values(nhwc), values(of_bias));
  return to_nchw(nhwc);
}

Tensor in_layout_of(const Tensor& like, const Tensor& images) {
  return like.suggest_memory_format() == kNhwc ? to_nhwc(images)
                                               : to_nchw(images);
}

}  // namespace mdgan
