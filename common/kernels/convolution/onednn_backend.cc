// The backend of builds with oneDNN's own interface: images stay in the layouts
// of its passes from a stack's first layer to the last, and convolutions that
// halve an image, or double it, take fewer products (halving_convolution.h,
// doubling.h).
#include <dnnl.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "common/kernels/convolution/backend.h"
#include "common/kernels/convolution/backend_name.h"
#include "common/kernels/convolution/convolution_passes.h"
#include "common/kernels/convolution/doubling.h"
#include "common/tensor/leaky_slope.h"
#include "common/tensor/precision.h"

namespace mdgan::backend {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;
using Geometries = std::vector<ConvolutionGeometry>;

constexpr auto kSlope = static_cast<float>(kLeakySlope);

using Dims = dnnl::memory::dims;
using Layouts = std::vector<dnnl::memory::desc>;
using Passes = std::vector<const ConvolutionPasses*>;

ConvolutionSize size_of(const Dims& images, const Tensor& weight,
                        const ConvolutionGeometry& geometry) {
  TORCH_CHECK(images[1] == weight.size(1), "a convolution of ", weight.size(1),
              " channels was given images of ", images);
  TORCH_CHECK(
      std::min(images[2], images[3]) + 2 * geometry.padding >= weight.size(2),
      "a kernel of ", weight.size(2), " is larger than images of ", images);
  return {images[0],      images[1],      images[2],       images[3],
          weight.size(0), weight.size(2), geometry.stride, geometry.padding};
}

// The passes of each layer, where the first takes images of these dims.
Passes passes_of(Dims images, at::TensorList parameters,
                 const Geometries& geometries) {
  Passes layers;
  for (std::size_t i = 0; i < geometries.size(); ++i) {
    layers.push_back(&convolution_passes(
        size_of(images, parameters[2 * i], geometries[i]), kSlope));
    images = layers.back()->result_dims();
  }
  return layers;
}

// The layout of each layer's weights if the stack's are in `layout`: row-major,
// or kept_weights(), unless padded channels would make that larger than the
// parameters' buffer has room for.
Layouts layouts_for(const WeightLayout& layout, at::TensorList parameters,
                    const Geometries& geometries) {
  Layouts layouts;
  for (std::size_t i = 0; i < geometries.size(); ++i)
    layouts.push_back(row_major_layout(parameters[2 * i].sizes().vec()));
  if (layout.empty()) return layouts;
  const Passes layers = passes_of(layout, parameters, geometries);
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const auto& kept = layers[i]->kept_weights();
    if (kept.get_size() == layouts[i].get_size()) layouts[i] = kept;
  }
  return layouts;
}

// Data in one of oneDNN's layouts. The tensor owns the memory; its own dims and
// dtype mean nothing.
struct LaidOut {
  dnnl::memory::desc layout;
  Tensor data;

  dnnl::memory memory() const {
    return {layout, onednn_engine(), data.data_ptr()};
  }
};

LaidOut empty_in(const dnnl::memory::desc& layout) {
  return {layout, torch::empty({static_cast<std::int64_t>(layout.get_size())},
                               torch::kUInt8)};
}

LaidOut as_row_major(const Tensor& tensor) {
  return {row_major_layout(tensor.sizes().vec()), tensor.contiguous()};
}

LaidOut in_layout(const LaidOut& x, const dnnl::memory::desc& layout) {
  if (x.layout == layout) return x;
  LaidOut result = empty_in(layout);
  reorder(x.memory(), result.memory());
  return result;
}

const float* read(const LaidOut& x) {
  return static_cast<const float*>(x.data.data_ptr());
}

float* write(const LaidOut& x) {
  return static_cast<float*>(x.data.data_ptr());
}

// The data as a flat tensor. Two of them can be combined element by element
// only if their layouts are equal.
Tensor elements(const LaidOut& x) {
  return x.data.view(torch::kFloat32).flatten();
}

Tensor to_row_major(const LaidOut& x, const Dims& dims) {
  Tensor result = torch::empty(dims);
  reorder(x.memory(), as_row_major(result).memory());
  return result;
}

class Stack : public torch::autograd::Function<Stack> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& images,
                        at::TensorList parameters, const Geometries& geometries,
                        const WeightLayout& layout) {
    tensor_list saved{images}, values, weights;
    saved.insert(saved.end(), parameters.begin(), parameters.end());
    const Passes layers =
        passes_of(images.sizes().vec(), parameters, geometries);
    const Layouts layouts = layouts_for(layout, parameters, geometries);
    c10::List<std::int64_t> strides_and_padding;
    LaidOut x = as_row_major(images);
    for (std::size_t i = 0; i < geometries.size(); ++i) {
      const Tensor &weight = parameters[2 * i], &bias = parameters[2 * i + 1];
      const ConvolutionPasses& layer = *layers[i];
      const PassLayouts& take = layer.forward_layouts();
      const LaidOut w =
          in_layout({layouts[i], weight.contiguous()}, layer.kept_weights());
      LaidOut y = empty_in(take.results);
      layer.forward(read(in_layout(x, take.images)),
                    read(in_layout(w, take.weights)), read(as_row_major(bias)),
                    write(y));
      x = std::move(y);
      values.push_back(x.data);
      weights.push_back(w.data);
      strides_and_padding.push_back(geometries[i].stride);
      strides_and_padding.push_back(geometries[i].padding);
    }
    Tensor result = to_row_major(x, layers.back()->result_dims());
    values.back() = result;
    saved.insert(saved.end(), values.begin(), values.end());
    saved.insert(saved.end(), weights.begin(), weights.end());
    context->save_for_backward(saved);
    context->saved_data["geometries"] = strides_and_padding;
    context->saved_data["layout"] = layout;
    return result;
  }

  static tensor_list backward(AutogradContext* context,
                              const tensor_list& outputs) {
    const Saved saved(*context);
    // A penalty differentiates this gradient again, so LibTorch must record how
    // it is computed.
    if (torch::GradMode::is_enabled())
      return by_autograd(*context, saved, outputs[0]);
    tensor_list gradients(saved.inputs() + kOthers);
    // dy is the gradient by a convolution's result before the activation.
    LaidOut dy = as_row_major(at::leaky_relu_backward(
        outputs[0].contiguous(), saved.values.back(), kSlope,
        /*self_is_result=*/true));
    for (std::size_t i = saved.layers.size(); i-- > 0;) {
      const ConvolutionPasses& layer = *saved.layers[i];
      LaidOut x = i == 0
                      ? as_row_major(saved.images)
                      : LaidOut{saved.layers[i - 1]->forward_layouts().results,
                                saved.values[i - 1]};
      if (i > 0) {  // the weights' pass mostly has the same layouts
        x = in_layout(x, layer.image_layouts().images);
        dy = in_layout(dy, layer.image_layouts().results);
      }
      const std::size_t weight = 1 + 2 * i, bias = weight + 1;
      if (context->needs_input_grad(weight) ||
          context->needs_input_grad(bias)) {
        const PassLayouts& take = layer.weight_layouts();
        const LaidOut dw = empty_in(take.weights);
        gradients[bias] = torch::empty(layer.size().out);
        layer.weight_gradient(read(in_layout(x, take.images)),
                              read(in_layout(dy, take.results)), write(dw),
                              gradients[bias].data_ptr<float>());
        gradients[weight] =
            elements(in_layout(dw, saved.layouts[i])).view(layer.weight_dims());
      }
      if (i == 0) {
        if (context->needs_input_grad(0))
          gradients[0] = image_gradient(
              to_row_major(dy, layer.result_dims()), saved.images,
              to_row_major({saved.layouts[0], saved.parameters[0].contiguous()},
                           layer.weight_dims()),
              saved.geometries[0]);
        break;
      }
      const PassLayouts& take = layer.image_layouts();
      const LaidOut w =
          in_layout({layer.kept_weights(), saved.weights[i]}, take.weights);
      const LaidOut dx = empty_in(take.images);
      layer.image_gradient(read(dy), read(w), write(dx));
      dy = dx;
      Tensor gradient = elements(dy);
      at::leaky_relu_backward_out(gradient, gradient, elements(x), kSlope,
                                  /*self_is_result=*/true);
    }
    return gradients;
  }

 private:
  // forward() takes two arguments that are no tensors and have no gradient.
  static constexpr std::size_t kOthers = 2;

  struct Saved {
    explicit Saved(AutogradContext& context) {
      const c10::List<std::int64_t> list =
          context.saved_data.at("geometries").toIntList();
      for (std::size_t i = 0; i < list.size(); i += 2)
        geometries.push_back({list.get(i), list.get(i + 1)});
      const tensor_list saved = context.get_saved_variables();
      const auto at = [&](std::size_t i) {
        return saved.begin() + static_cast<std::ptrdiff_t>(i);
      };
      const std::size_t n = geometries.size();
      images = saved[0];
      parameters.assign(at(1), at(1 + 2 * n));
      values.assign(at(1 + 2 * n), at(1 + 3 * n));
      weights.assign(at(1 + 3 * n), at(1 + 4 * n));
      layers = passes_of(images.sizes().vec(), parameters, geometries);
      layout = context.saved_data.at("layout").toIntVector();
      layouts = layouts_for(layout, parameters, geometries);
    }

    std::size_t inputs() const { return 1 + parameters.size(); }

    Geometries geometries;
    Tensor images;
    tensor_list parameters;
    // Each layer's result after the activation, in the layout that its pass
    // writes; the last one's is row-major.
    tensor_list values;
    // Each layer's weights, in its kept_weights() layout.
    tensor_list weights;
    Passes layers;
    WeightLayout layout;
    Layouts layouts;  // those of the weights among the parameters
  };

  // The gradients by operations that LibTorch differentiates.
  static tensor_list by_autograd(const AutogradContext& context,
                                 const Saved& saved, const Tensor& dy) {
    TORCH_CHECK(saved.layout.empty(),
                "weights in oneDNN's layouts serve no penalties");
    tensor_list inputs{saved.images}, wanted;
    inputs.insert(inputs.end(), saved.parameters.begin(),
                  saved.parameters.end());
    for (std::size_t i = 0; i < inputs.size(); ++i)
      if (context.needs_input_grad(i)) wanted.push_back(inputs[i]);
    const tensor_list found = torch::autograd::grad(
        {convolve_in_turn(saved.images, saved.parameters, saved.geometries)},
        wanted, {dy}, /*retain_graph=*/true, /*create_graph=*/true);
    tensor_list gradients(inputs.size() + kOthers);
    for (std::size_t i = 0, j = 0; i < inputs.size(); ++i)
      if (context.needs_input_grad(i)) gradients[i] = found[j++];
    return gradients;
  }
};

// Other inputs fall through to LibTorch, which reports errors itself.
bool runs(const Tensor& images, const tensor_list& parameters) {
  const auto is_float_on_cpu = [](const Tensor& t) {
    return t.defined() && t.is_cpu() && t.scalar_type() == torch::kFloat32;
  };
  return precision() == Precision::kFloat32 && images.dim() == 4 &&
         images.numel() > 0 && is_float_on_cpu(images) && !parameters.empty() &&
         std::ranges::all_of(parameters, is_float_on_cpu);
}

}  // namespace

std::string name() {
  const dnnl_version_t& version = *dnnl_version();
  return "oneDNN " + std::to_string(version.major) + "." +
         std::to_string(version.minor) + "." + std::to_string(version.patch);
}

bool has_own_layouts() { return true; }

Tensor deconvolve(const Tensor& x, const Tensor& weight,
                  torch::IntArrayRef y_dims,
                  const ConvolutionGeometry& geometry) {
  if (!is_doubling(x, weight, y_dims, geometry)) return {};
  return double_image(x, weight);
}

Tensor deconvolution_image_gradient(const Tensor& y_gradient, const Tensor& x,
                                    const Tensor& weight,
                                    const ConvolutionGeometry& geometry) {
  if (!is_doubling(x, weight, y_gradient.sizes(), geometry)) return {};
  return in_layout_of(x, doubling_image_gradient(y_gradient, weight));
}

Tensor deconvolution_weight_gradient(const Tensor& y_gradient, const Tensor& x,
                                     const Tensor& weight,
                                     const ConvolutionGeometry& geometry) {
  if (!is_doubling(x, weight, y_gradient.sizes(), geometry)) return {};
  return doubling_weight_gradient(x, y_gradient);
}

Tensor with_layout_of(const Tensor& like, const Tensor& images) {
  return like.scalar_type() == torch::kFloat32 ? in_layout_of(like, images)
                                               : images;
}

Tensor run_stack(const Tensor& images, const tensor_list& parameters,
                 const Geometries& geometries, const WeightLayout& layout) {
  if (!runs(images, parameters)) return {};
  TORCH_CHECK(layout.empty() || images.sizes().slice(1) ==
                                    torch::IntArrayRef(layout).slice(1),
              "the weights lie as for images of ", layout);
  return Stack::apply(images, at::TensorList(parameters), geometries, layout);
}

WeightLayout fastest_layout(const Tensor& images, const tensor_list& parameters,
                            const WeightLayout& now) {
  return runs(images, parameters) ? images.sizes().vec() : now;
}

tensor_list convert(const tensor_list& values, const tensor_list& parameters,
                    const Geometries& geometries, const WeightLayout& from,
                    const WeightLayout& to) {
  const Layouts before = layouts_for(from, parameters, geometries);
  const Layouts after = layouts_for(to, parameters, geometries);
  tensor_list converted;
  for (std::size_t i = 0; i < values.size(); ++i)
    converted.push_back(elements(in_layout({before[i], values[i]}, after[i])));
  return converted;
}

}  // namespace mdgan::backend
