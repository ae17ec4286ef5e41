#include "common/kernels/convolution/convolution_stack.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "common/kernels/convolution/convolution.h"
#include "common/tensor/leaky.h"

#ifdef MDGAN_ONEDNN
#include "common/kernels/convolution/convolution_passes.h"
#include "common/tensor/precision.h"
#endif

namespace mdgan {
namespace {

using torch::Tensor;
using torch::autograd::tensor_list;
using Geometries = std::vector<ConvolutionGeometry>;

thread_local bool layer_by_layer = false;

// parameters: weight and bias of each layer in turn.
Tensor one_by_one(Tensor x, at::TensorList parameters,
                  const Geometries& geometries) {
  for (std::size_t i = 0; i < geometries.size(); ++i)
    x = leaky_(
        convolve(x, parameters[2 * i], parameters[2 * i + 1], geometries[i]));
  return x;
}

#ifdef MDGAN_ONEDNN

using torch::autograd::AutogradContext;

constexpr const char* kNotPlain =
    "weights in oneDNN's order serve neither penalties nor LibTorch's layers";
constexpr auto kSlope = static_cast<float>(kLeakySlope);

using Sides = dnnl::memory::dims;
using Orders = std::vector<dnnl::memory::desc>;
using Passes = std::vector<const ConvolutionPasses*>;

ConvolutionSize size_of(const Sides& images, const Tensor& weight,
                        const ConvolutionGeometry& geometry) {
  TORCH_CHECK(images[1] == weight.size(1), "a convolution of ", weight.size(1),
              " channels was given images of ", images);
  TORCH_CHECK(
      std::min(images[2], images[3]) + 2 * geometry.padding >= weight.size(2),
      "a kernel of ", weight.size(2), " is larger than images of ", images);
  return {images[0],      images[1],      images[2],       images[3],
          weight.size(0), weight.size(2), geometry.stride, geometry.padding};
}

// Of each layer, for images of these sides.
Passes passes_of(Sides images, at::TensorList parameters,
                 const Geometries& geometries) {
  Passes layers;
  for (std::size_t i = 0; i < geometries.size(); ++i) {
    layers.push_back(&convolution_passes(
        size_of(images, parameters[2 * i], geometries[i]), kSlope));
    images = layers.back()->result_sides();
  }
  return layers;
}

// Of each layer's weights where they are ordered for `images`: as they are best
// kept, if that takes no more room. None: row by row.
Orders orders_for(const Sides& images, at::TensorList parameters,
                  const Geometries& geometries) {
  Orders orders;
  for (std::size_t i = 0; i < geometries.size(); ++i)
    orders.push_back(plain_order(parameters[2 * i].sizes().vec()));
  if (images.empty()) return orders;
  const Passes layers = passes_of(images, parameters, geometries);
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const auto& order = layers[i]->kept_weights();
    if (order.get_size() == orders[i].get_size()) orders[i] = order;
  }
  return orders;
}

// Numbers in an order of oneDNN's. The tensor is there to own them.
struct Ordered {
  dnnl::memory::desc order;
  Tensor numbers;

  dnnl::memory memory() const {
    return {order, onednn_engine(), numbers.data_ptr()};
  }
};

Ordered room_for(const dnnl::memory::desc& order) {
  return {order, torch::empty({static_cast<std::int64_t>(order.get_size())},
                              torch::kUInt8)};
}

Ordered as_plain(const Tensor& tensor) {
  return {plain_order(tensor.sizes().vec()), tensor.contiguous()};
}

Ordered in_order(const Ordered& x, const dnnl::memory::desc& order) {
  if (x.order == order) return x;
  Ordered result = room_for(order);
  reorder(x.memory(), result.memory());
  return result;
}

const float* read(const Ordered& x) {
  return static_cast<const float*>(x.numbers.data_ptr());
}

float* write(const Ordered& x) {
  return static_cast<float*>(x.numbers.data_ptr());
}

// The numbers as a tensor in which only equal orders agree on the places.
Tensor elements(const Ordered& x) {
  return x.numbers.view(torch::kFloat32).flatten();
}

Tensor plain(const Ordered& x, const Sides& sides) {
  Tensor result = torch::empty(sides);
  reorder(x.memory(), as_plain(result).memory());
  return result;
}

class Stack : public torch::autograd::Function<Stack> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& images,
                        at::TensorList parameters, const Geometries& geometries,
                        const Sides& ordered_for) {
    tensor_list saved{images}, values, weights;
    saved.insert(saved.end(), parameters.begin(), parameters.end());
    const Passes layers =
        passes_of(images.sizes().vec(), parameters, geometries);
    const Orders orders = orders_for(ordered_for, parameters, geometries);
    c10::List<std::int64_t> numbers;
    Ordered x = as_plain(images);
    for (std::size_t i = 0; i < geometries.size(); ++i) {
      const Tensor &weight = parameters[2 * i], &bias = parameters[2 * i + 1];
      const ConvolutionPasses& layer = *layers[i];
      const PassOrders& take = layer.forward_orders();
      const Ordered w =
          in_order({orders[i], weight.contiguous()}, layer.kept_weights());
      Ordered y = room_for(take.results);
      layer.forward(read(in_order(x, take.images)),
                    read(in_order(w, take.weights)), read(as_plain(bias)),
                    write(y));
      x = std::move(y);
      values.push_back(x.numbers);
      weights.push_back(w.numbers);
      numbers.push_back(geometries[i].stride);
      numbers.push_back(geometries[i].padding);
    }
    Tensor result = plain(x, layers.back()->result_sides());
    values.back() = result;
    saved.insert(saved.end(), values.begin(), values.end());
    saved.insert(saved.end(), weights.begin(), weights.end());
    context->save_for_backward(saved);
    context->saved_data["geometries"] = numbers;
    context->saved_data["ordered for"] = ordered_for;
    return result;
  }

  static tensor_list backward(AutogradContext* context,
                              const tensor_list& outputs) {
    const Saved saved(*context);
    // What a penalty differentiates once more, LibTorch has to know.
    if (torch::GradMode::is_enabled())
      return by_autograd(*context, saved, outputs[0]);
    tensor_list gradients(saved.inputs() + kOthers);
    // The gradient by a convolution's own result, before the activation.
    Ordered dy = as_plain(at::leaky_relu_backward(outputs[0].contiguous(),
                                                  saved.values.back(), kSlope,
                                                  /*self_is_result=*/true));
    for (std::size_t i = saved.layers.size(); i-- > 0;) {
      const ConvolutionPasses& layer = *saved.layers[i];
      Ordered x = i == 0
                      ? as_plain(saved.images)
                      : Ordered{saved.layers[i - 1]->forward_orders().results,
                                saved.values[i - 1]};
      if (i > 0) {  // mostly the weights' pass's orders, too
        x = in_order(x, layer.image_orders().images);
        dy = in_order(dy, layer.image_orders().results);
      }
      const std::size_t weight = 1 + 2 * i, bias = weight + 1;
      if (context->needs_input_grad(weight) ||
          context->needs_input_grad(bias)) {
        const PassOrders& take = layer.weight_orders();
        const Ordered dw = room_for(take.weights);
        gradients[bias] = torch::empty(layer.size().out);
        layer.weight_gradient(read(in_order(x, take.images)),
                              read(in_order(dy, take.results)), write(dw),
                              gradients[bias].data_ptr<float>());
        gradients[weight] =
            elements(in_order(dw, saved.orders[i])).view(layer.weight_sides());
      }
      if (i == 0) {
        if (context->needs_input_grad(0))
          gradients[0] = image_gradient(
              plain(dy, layer.result_sides()), saved.images,
              plain({saved.orders[0], saved.parameters[0].contiguous()},
                    layer.weight_sides()),
              saved.geometries[0]);
        break;
      }
      const PassOrders& take = layer.image_orders();
      const Ordered w =
          in_order({layer.kept_weights(), saved.weights[i]}, take.weights);
      const Ordered dx = room_for(take.images);
      layer.image_gradient(read(dy), read(w), write(dx));
      dy = dx;
      Tensor gradient = elements(dy);
      at::leaky_relu_backward_out(gradient, gradient, elements(x), kSlope,
                                  /*self_is_result=*/true);
    }
    return gradients;
  }

 private:
  // What a Stack is given beside tensors has no gradient.
  static constexpr std::size_t kOthers = 2;

  struct Saved {
    explicit Saved(AutogradContext& context) {
      const c10::List<std::int64_t> numbers =
          context.saved_data.at("geometries").toIntList();
      for (std::size_t i = 0; i < numbers.size(); i += 2)
        geometries.push_back({numbers.get(i), numbers.get(i + 1)});
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
      ordered_for = context.saved_data.at("ordered for").toIntVector();
      orders = orders_for(ordered_for, parameters, geometries);
    }

    std::size_t inputs() const { return 1 + parameters.size(); }

    Geometries geometries;
    Tensor images;
    tensor_list parameters;
    // Of each layer, after the activation: in the order its pass gives it, but
    // for the last, which is plain.
    tensor_list values;
    // Of each layer, in the order to keep them in.
    tensor_list weights;
    Passes layers;
    Sides ordered_for;
    Orders orders;  // of the parameters that are weights
  };

  // The same by operations that LibTorch differentiates.
  static tensor_list by_autograd(const AutogradContext& context,
                                 const Saved& saved, const Tensor& dy) {
    TORCH_CHECK(saved.ordered_for.empty(), kNotPlain);
    tensor_list inputs{saved.images}, wanted;
    inputs.insert(inputs.end(), saved.parameters.begin(),
                  saved.parameters.end());
    for (std::size_t i = 0; i < inputs.size(); ++i)
      if (context.needs_input_grad(i)) wanted.push_back(inputs[i]);
    const tensor_list found = torch::autograd::grad(
        {one_by_one(saved.images, saved.parameters, saved.geometries)}, wanted,
        {dy}, /*retain_graph=*/true, /*create_graph=*/true);
    tensor_list gradients(inputs.size() + kOthers);
    for (std::size_t i = 0, j = 0; i < inputs.size(); ++i)
      if (context.needs_input_grad(i)) gradients[i] = found[j++];
    return gradients;
  }
};

// Whatever is wrong with the others, LibTorch's layers say so.
bool by_onednn(const Tensor& images, const tensor_list& parameters) {
  const auto is_plain = [](const Tensor& t) {
    return t.defined() && t.is_cpu() && t.scalar_type() == torch::kFloat32;
  };
  return !layer_by_layer && precision() == Precision::kFloat32 &&
         images.dim() == 4 && images.numel() > 0 && is_plain(images) &&
         !parameters.empty() && std::ranges::all_of(parameters, is_plain);
}

#endif

}  // namespace

void ConvolutionStack::push_back(torch::nn::Conv2d layer) {
  layers_.push_back(std::move(layer));
}

std::pair<tensor_list, Geometries> ConvolutionStack::parts() const {
  std::pair<tensor_list, Geometries> result;
  for (const auto& layer : layers_) {
    result.first.push_back(layer->weight);
    result.first.push_back(layer->bias);
    result.second.push_back(geometry_of(layer));
  }
  return result;
}

Tensor ConvolutionStack::forward(const Tensor& images) const {
  const auto [parameters, geometries] = parts();
#ifdef MDGAN_ONEDNN
  if (by_onednn(images, parameters)) {
    TORCH_CHECK(
        ordered_for_.empty() || images.sizes().slice(1) ==
                                    torch::IntArrayRef(ordered_for_).slice(1),
        "the weights are ordered for images of ", ordered_for_);
    return Stack::apply(images, at::TensorList(parameters), geometries,
                        ordered_for_);
  }
  TORCH_CHECK(ordered_for_.empty(), kNotPlain);
#endif
  return one_by_one(images, parameters, geometries);
}

#ifdef MDGAN_ONEDNN

void ConvolutionStack::order_weights(const Tensor& images,
                                     const tensor_list& buffers) {
  if (by_onednn(images, parts().first))
    reorder_weights(images.sizes().vec(), buffers);
}

void ConvolutionStack::make_plain(const tensor_list& buffers) {
  reorder_weights({}, buffers);
}

void ConvolutionStack::reorder_weights(std::vector<std::int64_t> images,
                                       const tensor_list& buffers) {
  if (images == ordered_for_) return;
  const auto [parameters, geometries] = parts();
  const Orders before = orders_for(ordered_for_, parameters, geometries);
  const Orders after = orders_for(images, parameters, geometries);
  std::vector<std::pair<Tensor, Tensor>> changes;
  for (std::size_t i = 0; i < geometries.size(); ++i) {
    const Tensor& weight = parameters[2 * i];
    for (const Tensor& buffer : buffers) {
      const Tensor part =
          buffer.narrow(0, weight.storage_offset(), weight.numel());
      changes.emplace_back(part,
                           elements(in_order({before[i], part}, after[i])));
    }
  }
  // Only now, when no memory can be wanting: all of them or none.
  for (const auto& [part, numbers] : changes) part.copy_(numbers);
  ordered_for_ = std::move(images);
}

#else

void ConvolutionStack::order_weights(const Tensor&, const tensor_list&) {}
void ConvolutionStack::make_plain(const tensor_list&) {}

#endif

LayerByLayerGuard::LayerByLayerGuard()
    : before_(std::exchange(layer_by_layer, true)) {}

LayerByLayerGuard::~LayerByLayerGuard() { layer_by_layer = before_; }

}  // namespace mdgan
