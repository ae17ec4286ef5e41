#include "common/models/linear.h"

#include <cstddef>
#include <cstdint>
#include <tuple>
#include <utility>

#include "common/kernels/dense/dense_parts.h"

namespace mdgan {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;
// LibTorch counts an argument among a function's inputs if it has a value.
using OptionalTensor = c10::optional<Tensor>;

constexpr float kNoActivation = 1.0F;
// The weights' gradient reads all samples once for every few units; more
// samples than these do not stay in the caches.
constexpr std::int64_t kMostSamples = 128;

// The size of y = x w^T with x [n, in] and w [out, in].
DenseSize size_of(const Tensor& x, const Tensor& weight) {
  const auto size = [](std::int64_t n) { return static_cast<std::size_t>(n); };
  return {size(x.size(0)), size(x.size(1)), size(weight.size(0))};
}

Tensor input_gradient(const Tensor& dy, const Tensor& x, const Tensor& weight) {
  const DenseSize size = size_of(x, weight);
  Tensor dx = torch::empty_like(x);
  in_parts(size.in, [&](DenseRange inputs) {
    dense_kernels().input_gradient(size, inputs, dy.data_ptr<float>(),
                                   weight.data_ptr<float>(),
                                   dx.data_ptr<float>());
  });
  return dx;
}

// The gradients by the weights and by the bias.
std::pair<Tensor, Tensor> parameter_gradients(const Tensor& dy, const Tensor& x,
                                              const Tensor& weight) {
  const DenseSize size = size_of(x, weight);
  Tensor dw = torch::empty_like(weight);
  Tensor db = torch::empty({weight.size(0)}, weight.options());
  in_parts(size.out, [&](DenseRange units) {
    dense_kernels().weight_gradient(
        size, units, dy.data_ptr<float>(), x.data_ptr<float>(),
        /*bias_rows=*/size.n, dw.data_ptr<float>(), db.data_ptr<float>());
  });
  return {dw, db};
}

class Product : public torch::autograd::Function<Product> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& x,
                        const Tensor& weight, const OptionalTensor& bias) {
    context->save_for_backward({x, weight});
    context->saved_data["bias"] = bias.has_value();
    const DenseSize size = size_of(x, weight);
    Tensor y = torch::empty({x.size(0), weight.size(0)}, x.options());
    in_parts(size.out, [&](DenseRange units) {
      dense_kernels().forward(
          size, units, x.data_ptr<float>(), weight.data_ptr<float>(),
          bias.has_value() ? bias->data_ptr<float>() : nullptr, kNoActivation,
          y.data_ptr<float>());
    });
    return y;
  }

  static tensor_list backward(AutogradContext* context,
                              const tensor_list& outputs) {
    const auto saved = context->get_saved_variables();
    const Tensor &x = saved[0], &weight = saved[1];
    const bool biased = context->saved_data.at("bias").toBool();
    tensor_list gradients(3);
    const bool of_x = context->needs_input_grad(0),
               of_weight = context->needs_input_grad(1),
               of_bias = biased && context->needs_input_grad(2);
    // A penalty differentiates this gradient again, so LibTorch must record how
    // it is computed.
    if (torch::GradMode::is_enabled()) {
      const Tensor& dy = outputs[0];
      if (of_x) gradients[0] = dy.mm(weight);
      if (of_weight) gradients[1] = dy.t().mm(x);
      if (of_bias) gradients[2] = dy.sum(0);
      return gradients;
    }
    const Tensor dy = outputs[0].contiguous();
    if (of_x) gradients[0] = input_gradient(dy, x, weight);
    if (of_weight || of_bias)
      std::tie(gradients[1], gradients[2]) = parameter_gradients(dy, x, weight);
    if (!biased) gradients[2] = Tensor();
    return gradients;
  }
};

}  // namespace

Tensor linear(const torch::nn::Linear& layer, const Tensor& x) {
  return linear(x, layer->weight, layer->bias);
}

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  const OptionalTensor optional =
      bias.defined() ? OptionalTensor(bias) : OptionalTensor();
  const auto is_plain = [](const Tensor& t) {
    return t.is_cpu() && t.scalar_type() == torch::kFloat32;
  };
  if (!is_plain(x) || !is_plain(weight) || !weight.is_contiguous() ||
      x.dim() != 2 || x.size(0) > kMostSamples || x.size(1) != weight.size(1))
    return torch::linear(x, weight, optional);
  return Product::apply(x.contiguous(), weight, optional);
}

}  // namespace mdgan
