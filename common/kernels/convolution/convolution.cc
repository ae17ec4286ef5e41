#include "common/kernels/convolution/convolution.h"

#include <array>
#include <tuple>

#include "common/base/work_sharer.h"
#include "common/kernels/convolution/backend.h"
#include "common/tensor/leaky.h"
#include "common/tensor/precision.h"

namespace mdgan {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;
// LibTorch counts an argument among a function's inputs if it has a value.
using OptionalTensor = c10::optional<Tensor>;

// With so many channels or fewer, oneDNN's gradient of an image is slower.
constexpr std::int64_t kFewChannels = 4;

using Geometry = ConvolutionGeometry;

struct Gradients {
  Tensor x, weight, bias;
};

// The gradients of y = conv2d(x, weight, bias) by those of x, weight and bias
// that `of` asks for.
Gradients convolution_gradients(const Tensor& y_gradient, const Tensor& x,
                                const Tensor& weight, Geometry geometry,
                                std::array<bool, 3> of) {
  const std::array<std::int64_t, 2> stride{geometry.stride, geometry.stride};
  const std::array<std::int64_t, 2> padding{geometry.padding, geometry.padding};
  auto [by_x, by_weight, by_bias] = at::convolution_backward(
      y_gradient, x, weight, /*bias_sizes=*/weight.sizes().slice(0, 1), stride,
      padding, /*dilation=*/{1, 1}, /*transposed=*/false,
      /*output_padding=*/{0, 0}, /*groups=*/1, of);
  return {by_x, by_weight, by_bias};
}

OptionalTensor optional(const Tensor& bias) {
  return bias.defined() ? OptionalTensor(bias) : OptionalTensor();
}

void save(AutogradContext& context, const Tensor& x, const Tensor& weight,
          const OptionalTensor& bias, Geometry geometry) {
  context.save_for_backward({x, weight});
  context.saved_data["stride"] = geometry.stride;
  context.saved_data["padding"] = geometry.padding;
  context.saved_data["bias"] = bias.has_value();
}

bool needs_bias_gradient(const AutogradContext& context) {
  return context.saved_data.at("bias").toBool() && context.needs_input_grad(2);
}

Geometry geometry_of(const AutogradContext& context) {
  return {context.saved_data.at("stride").toInt(),
          context.saved_data.at("padding").toInt()};
}

// The output padding with which a transposed convolution gives x's height and
// width.
std::array<std::int64_t, 2> output_padding(const Tensor& y, const Tensor& x,
                                           const Tensor& weight,
                                           const Geometry& geometry) {
  std::array<std::int64_t, 2> result{};
  for (const std::size_t i : {0U, 1U}) {
    const auto side = static_cast<std::int64_t>(i) + 2;
    result[i] = x.size(side) - (y.size(side) - 1) * geometry.stride +
                2 * geometry.padding - weight.size(side);
  }
  return result;
}

// --- a transposed convolution without bias, and its gradients ----------------
// y = conv_transpose2d(x, weight). What is differentiated again is computed by
// operations that LibTorch differentiates.

// While a graph is recorded, the backend's operations would not be part of it.
bool may_use_backend() { return !torch::GradMode::is_enabled(); }

Tensor deconvolution(const Tensor& x, const Tensor& weight,
                     torch::IntArrayRef y_dims, Geometry geometry) {
  if (may_use_backend()) {
    Tensor y = backend::deconvolve(x, weight, y_dims, geometry);
    if (y.defined()) return y;
  }
  // LibTorch reads only its dims.
  const Tensor like = torch::empty(y_dims, x.options());
  return convolution_gradients(x, like, weight, geometry, {true, false, false})
      .x;
}

Tensor deconvolution_image_gradient(const Tensor& y_gradient, const Tensor& x,
                                    const Tensor& weight, Geometry geometry) {
  if (may_use_backend()) {
    Tensor by_x =
        backend::deconvolution_image_gradient(y_gradient, x, weight, geometry);
    if (by_x.defined()) return by_x;
  }
  Tensor by_x = at::conv2d(y_gradient, weight, /*bias=*/{}, geometry.stride,
                           geometry.padding);
  // LibTorch's next operation combines it with x, which takes several times as
  // long between two layouts.
  return may_use_backend() ? backend::with_layout_of(x, by_x) : by_x;
}

Tensor deconvolution_weight_gradient(const Tensor& y_gradient, const Tensor& x,
                                     const Tensor& weight, Geometry geometry) {
  if (may_use_backend()) {
    Tensor by_weight =
        backend::deconvolution_weight_gradient(y_gradient, x, weight, geometry);
    if (by_weight.defined()) return by_weight;
  }
  return convolution_gradients(x, y_gradient, weight, geometry,
                               {false, true, false})
      .weight;
}

// The backward passes are made of operations that LibTorch differentiates, for
// penalties.
class Convolution : public torch::autograd::Function<Convolution> {
 public:
  // NOLINTNEXTLINE(google-runtime-references): LibTorch's interface
  static Tensor forward(AutogradContext* context, const Tensor& x,
                        const Tensor& weight, const OptionalTensor& bias,
                        Geometry geometry) {
    save(*context, x, weight, bias, geometry);
    return at::conv2d(x, weight, bias, geometry.stride, geometry.padding);
  }

  static tensor_list backward(AutogradContext* context,
                              const tensor_list& outputs) {
    const Geometry geometry = geometry_of(*context);
    const auto saved = context->get_saved_variables();
    const Tensor &x = saved[0], &weight = saved[1], &gradient = outputs[0];
    std::array<bool, 3> of{context->needs_input_grad(0),
                           context->needs_input_grad(1),
                           needs_bias_gradient(*context)};
    const bool transposed = of[0] && x.size(1) <= kFewChannels;
    if (transposed) of[0] = false;
    Gradients result;
    if (of[0] || of[1] || of[2])
      result = convolution_gradients(gradient, x, weight, geometry, of);
    if (transposed) result.x = image_gradient(gradient, x, weight, geometry);
    return {result.x, result.weight, result.bias, {}};
  }
};

class Deconvolution : public torch::autograd::Function<Deconvolution> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& x,
                        const Tensor& weight, const OptionalTensor& bias,
                        Geometry geometry, std::int64_t output_padding) {
    save(*context, x, weight, bias, geometry);
    if (weight.size(1) <= kFewChannels)
      return at::conv_transpose2d(x, weight, bias, geometry.stride,
                                  geometry.padding, output_padding);
    const auto side = [&](std::int64_t i) {
      return (x.size(i) - 1) * geometry.stride - 2 * geometry.padding +
             weight.size(i) + output_padding;
    };
    Tensor y = deconvolution(
        x, weight, {x.size(0), weight.size(1), side(2), side(3)}, geometry);
    if (bias.has_value()) y.add_(bias->view({1, -1, 1, 1}));
    return y;
  }

  static tensor_list backward(AutogradContext* context,
                              const tensor_list& outputs) {
    const Geometry geometry = geometry_of(*context);
    const auto saved = context->get_saved_variables();
    const Tensor &x = saved[0], &weight = saved[1], &gradient = outputs[0];
    Gradients result;
    const auto by_x = [&] {
      result.x = deconvolution_image_gradient(gradient, x, weight, geometry);
    };
    const auto by_weight = [&] {
      result.weight =
          deconvolution_weight_gradient(gradient, x, weight, geometry);
    };
    // Read here: needs_input_grad() is thread-local.
    const bool of_x = context->needs_input_grad(0);
    const bool of_weight = context->needs_input_grad(1);
    // The work sharer records no autograd graph.
    if (of_x && of_weight && !torch::GradMode::is_enabled()) {
      side_by_side(by_x, [&] {
        const torch::NoGradGuard no_grad;
        by_weight();
      });
    } else {
      if (of_x) by_x();
      if (of_weight) by_weight();
    }
    if (needs_bias_gradient(*context)) result.bias = gradient.sum({0, 2, 3});
    return {result.x, result.weight, result.bias, {}, {}};
  }
};

// The transposed convolution of images of one pixel, without padding: each
// channel of the image is multiplied with its filter, so it is one GEMM.
Tensor deconvolve_pixel(const Tensor& x, const Tensor& weight,
                        const Tensor& bias) {
  const Tensor y =
      x.flatten(1)
          .mm(weight.flatten(1))
          .view({x.size(0), weight.size(1), weight.size(2), weight.size(3)});
  return bias.defined() ? y + bias.view({1, -1, 1, 1}) : y;
}

// A layer's inputs in the precision of the process. What has as few channels as
// an image stays float32: oneDNN has no bfloat16 kernels for those, and there
// is little to gain.
struct Operands {
  Tensor x, weight, bias;
};

Operands operands(const Tensor& x, const Tensor& weight, const Tensor& bias,
                  std::int64_t image_channels) {
  if (precision() != Precision::kBfloat16 || image_channels <= kFewChannels)
    return {x, weight, bias};
  const auto cast = [](const Tensor& t) {
    return t.defined() ? t.to(torch::kBFloat16) : t;
  };
  return {cast(x), cast(weight), cast(bias)};
}

}  // namespace

ConvolutionGeometry geometry_of(const torch::nn::Conv2d& layer) {
  const auto& options = layer->options;
  // std::get, or c10::get in LibTorch 1.
  const auto& padding = get<torch::ExpandingArray<2>>(options.padding());
  return {(*options.stride())[0], (*padding)[0]};
}

Tensor image_gradient(const Tensor& y_gradient, const Tensor& x,
                      const Tensor& weight,
                      const ConvolutionGeometry& geometry) {
  if (x.size(1) > kFewChannels)
    return convolution_gradients(y_gradient, x, weight, geometry,
                                 {true, false, false})
        .x;
  return at::conv_transpose2d(y_gradient, weight, /*bias=*/{}, geometry.stride,
                              geometry.padding,
                              output_padding(y_gradient, x, weight, geometry));
}

Tensor convolve(torch::nn::Conv2d& layer, const Tensor& x) {
  return convolve(x, layer->weight, layer->bias, geometry_of(layer));
}

Tensor convolve(const Tensor& image, const Tensor& full_weight,
                const Tensor& full_bias, const ConvolutionGeometry& geometry) {
  const auto [x, weight, bias] =
      operands(image, full_weight, full_bias, image.size(1));
  const Tensor y = x.is_cpu()
                       ? Convolution::apply(x, weight, optional(bias), geometry)
                       : at::conv2d(x, weight, optional(bias), geometry.stride,
                                    geometry.padding);
  return y.to(torch::kFloat32);
}

Tensor convolve_in_turn(Tensor x, at::TensorList parameters,
                        const std::vector<ConvolutionGeometry>& geometries) {
  for (std::size_t i = 0; i < geometries.size(); ++i)
    x = leaky_(
        convolve(x, parameters[2 * i], parameters[2 * i + 1], geometries[i]));
  return x;
}

Tensor deconvolve(torch::nn::ConvTranspose2d& layer, const Tensor& x) {
  const auto& options = layer->options;
  const auto& padding = get<torch::ExpandingArray<2>>(options.padding());
  return deconvolve(x, layer->weight, layer->bias,
                    {(*options.stride())[0], (*padding)[0]},
                    (*options.output_padding())[0]);
}

Tensor deconvolve(const Tensor& input, const Tensor& full_weight,
                  const Tensor& full_bias, const ConvolutionGeometry& geometry,
                  std::int64_t output_padding) {
  const auto [x, weight, bias] =
      operands(input, full_weight, full_bias, full_weight.size(1));
  Tensor y;
  if (!x.is_cpu())
    y = at::conv_transpose2d(x, weight, optional(bias), geometry.stride,
                             geometry.padding, output_padding);
  else if (x.size(2) == 1 && x.size(3) == 1 && geometry.padding == 0 &&
           output_padding == 0)
    y = deconvolve_pixel(x, weight, bias);
  else
    y = Deconvolution::apply(x, weight, optional(bias), geometry,
                             output_padding);
  return y.to(torch::kFloat32);
}

}  // namespace mdgan
