#include "common/models/initialise.h"

#include <cmath>
#include <span>

#include "common/base/random.h"
#include "common/base/result.h"
#include "common/models/script_layer.h"
#include "common/models/zero_convolution.h"

namespace mdgan {
namespace {

// Overwrites `parameter` with what `fill` writes into a span of its size.
template <typename Fill>
void overwrite(torch::Tensor& parameter, Fill fill) {
  torch::Tensor values = torch::empty(parameter.sizes(), torch::kFloat32);
  fill(std::span(values.data_ptr<float>(),
                 static_cast<std::size_t>(values.numel())));
  parameter.copy_(values);
}

void fill_normal(torch::Tensor& parameter, float mean, float deviation,
                 Random& random) {
  overwrite(parameter, [&](std::span<float> out) {
    random.fill_normal(out);
    for (float& x : out) x = mean + deviation * x;
  });
}

// PyTorch's default for linear and convolutional layers: its Kaiming uniform
// with a = sqrt(5) is U(-1/sqrt(fan_in), 1/sqrt(fan_in)). Like PyTorch, it
// takes a transposed convolution's fan-in from its second dimension, the
// outputs.
void fill_pytorch(torch::Tensor& weight, torch::Tensor& bias, Random& random) {
  const auto fan_in = static_cast<double>(weight.numel() / weight.size(0));
  const auto bound = static_cast<float>(1.0 / std::sqrt(fan_in));
  const auto uniform = [&](std::span<float> out) {
    random.fill_uniform(out, -bound, bound);
  };
  overwrite(weight, uniform);
  if (bias.defined()) overwrite(bias, uniform);
}

ScriptKind kind_of(const torch::nn::Module& layer) {
  if (const auto* script = layer.as<ScriptLayer>()) return script->kind;
  if (layer.as<torch::nn::BatchNorm2d>() != nullptr) return ScriptKind::kNorm;
  if (layer.as<torch::nn::Embedding>() != nullptr)
    return ScriptKind::kEmbedding;
  return ScriptKind::kWeights;
}

void reset_statistics(torch::nn::Module& norm) {
  for (auto& buffer : norm.named_buffers(/*recurse=*/false))
    buffer.value().fill_(buffer.key() == "running_var" ? 1 : 0);
}

void fill_layer(torch::nn::Module& layer, InitialLaw law, Random& random) {
  const ScriptKind kind = kind_of(layer);
  if (kind == ScriptKind::kAsMade) return;
  auto parameters = layer.named_parameters(/*recurse=*/false);
  if (parameters.is_empty()) return;
  torch::Tensor weight = parameters["weight"];
  torch::Tensor bias;
  if (const torch::Tensor* found = parameters.find("bias")) bias = *found;
  MDGAN_CHECK(parameters.size() == (bias.defined() ? 2U : 1U));
  if (layer.as<ZeroConvolution>() != nullptr) {
    weight.zero_();
    if (bias.defined()) bias.zero_();
    return;
  }

  if (kind == ScriptKind::kNorm) {
    reset_statistics(layer);
    if (law == InitialLaw::kDcgan)
      fill_normal(weight, 1.0F, 0.02F, random);
    else
      weight.fill_(1.0);
    bias.zero_();
  } else if (kind == ScriptKind::kEmbedding) {
    fill_normal(weight, 0.0F, 1.0F, random);
  } else if (law == InitialLaw::kDcgan) {
    fill_normal(weight, 0.0F, 0.02F, random);
    if (bias.defined()) bias.zero_();
  } else {
    fill_pytorch(weight, bias, random);
  }
}

}  // namespace

void initialise(Model& model, Random& random) {
  const torch::NoGradGuard no_grad;
  if (auto* values = dynamic_cast<ScriptValues*>(&model)) {
    values->restore();
    if (!values->are_drawn()) return;
  }
  // modules() visits in the order of named_parameters(): a module's own first,
  // then its children as registered. The model itself is left out: see the
  // header.
  for (const auto& layer : model.modules(/*include_self=*/false))
    fill_layer(*layer, model.initial_law(), random);
}

}  // namespace mdgan
