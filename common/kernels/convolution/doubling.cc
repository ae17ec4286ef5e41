#include "common/kernels/convolution/doubling.h"

#include "common/kernels/convolution/convolution_passes.h"
#include "common/kernels/convolution/halving_convolution.h"

namespace mdgan {
namespace {

using torch::Tensor;

constexpr auto kPixelByPixel = torch::MemoryFormat::ChannelsLast;

// Of the convolution that halves images of these sides to `channels` channels.
ConvolutionSize halving(torch::IntArrayRef sides, std::int64_t channels) {
  return {sides[0], sides[1],     sides[2],     sides[3],
          channels, /*kernel=*/4, /*stride=*/2, /*padding=*/1};
}

const ConvolutionPasses& passes(const Tensor& doubled_like,
                                std::int64_t channels) {
  constexpr float kNoActivation = 1;
  return convolution_passes(halving(doubled_like.sizes(), channels),
                            kNoActivation);
}

Tensor room(torch::IntArrayRef sides) {
  return torch::empty(sides,
                      torch::TensorOptions().memory_format(kPixelByPixel));
}

float* numbers(const Tensor& t) { return t.data_ptr<float>(); }

dnnl::memory memory(const Tensor& t, const dnnl::memory::desc& order) {
  return {order, onednn_engine(), numbers(t)};
}

Tensor pixel_by_pixel(const Tensor& images) {
  if (images.is_contiguous(kPixelByPixel)) return images;
  const auto sides = images.sizes().vec();
  Tensor result = room(sides);
  reorder(memory(images.contiguous(), row_major_layout(sides)),
          memory(result, nhwc_layout(sides)));
  return result;
}

Tensor row_by_row(const Tensor& images) {
  if (!images.is_contiguous(kPixelByPixel)) return images.contiguous();
  const auto sides = images.sizes().vec();
  Tensor result = torch::empty(sides);
  reorder(memory(images, nhwc_layout(sides)),
          memory(result, row_major_layout(sides)));
  return result;
}

}  // namespace

bool is_doubling(const Tensor& x, const Tensor& weight,
                 torch::IntArrayRef sides,
                 const ConvolutionGeometry& geometry) {
  ConvolutionSize size = halving(sides, weight.size(0));
  size.kernel = weight.size(2);
  size.stride = geometry.stride;
  size.padding = geometry.padding;
  const auto is_plain = [](const Tensor& t) {
    return t.is_cpu() && t.scalar_type() == torch::kFloat32;
  };
  return is_plain(x) && is_plain(weight) && is_halving(size) &&
         x.size(1) == weight.size(0);
}

Tensor double_image(const Tensor& x, const Tensor& weight) {
  Tensor y = room({x.size(0), weight.size(1), 2 * x.size(2), 2 * x.size(3)});
  passes(y, x.size(1))
      .image_gradient(numbers(pixel_by_pixel(x)),
                      numbers(pixel_by_pixel(weight)), numbers(y));
  return y;
}

Tensor doubling_image_gradient(const Tensor& of_result, const Tensor& weight) {
  const auto& by = passes(of_result, weight.size(0));
  Tensor of_x = room(by.result_dims());
  const Tensor no_bias = torch::zeros(weight.size(0));
  by.forward(numbers(pixel_by_pixel(of_result)),
             numbers(pixel_by_pixel(weight)), numbers(no_bias), numbers(of_x));
  return of_x;
}

Tensor doubling_weight_gradient(const Tensor& x, const Tensor& of_result) {
  const auto& by = passes(of_result, x.size(1));
  const Tensor ordered = room(by.weight_dims());
  const Tensor of_bias = torch::empty(x.size(1));
  by.weight_gradient(numbers(pixel_by_pixel(of_result)),
                     numbers(pixel_by_pixel(x)), numbers(ordered),
                     numbers(of_bias));
  return row_by_row(ordered);
}

Tensor in_layout_of(const Tensor& like, const Tensor& images) {
  return like.suggest_memory_format() == kPixelByPixel ? pixel_by_pixel(images)
                                                       : row_by_row(images);
}

}  // namespace mdgan
