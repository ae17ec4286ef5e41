#include "common/models/script_kernels.h"

#include <torch/csrc/jit/runtime/graph_executor.h>

#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <exception>

#include "common/models/linear.h"
#include "common/models/script_layers.h"
#include "common/tensor/leaky.h"

namespace mdgan {
namespace {

namespace jit = torch::jit;
using torch::Tensor;

// Sums are made in another order.
constexpr float kKernelRounding = 1e-4F;

// The widths of the input and of each layer; none unless the parameters are
// these layers' and the embedding, in turn.
std::optional<std::vector<std::size_t>> widths_of(
    const ScriptLayers& read, const std::vector<Tensor>& parameters) {
  std::vector<Tensor> expected;
  for (const auto& convolution : read.convolutions) {
    expected.push_back(convolution.weight);
    expected.push_back(convolution.bias);
  }
  expected.insert(expected.end(), read.layers.begin(), read.layers.end());
  if (read.embedding.defined()) expected.push_back(read.embedding);
  if (!std::ranges::equal(expected, parameters,
                          [](const Tensor& a, const Tensor& b) {
                            return a.is_same(b) && a.is_contiguous();
                          }))
    return std::nullopt;
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < read.layers.size(); i += 2) {
    const Tensor& weight = read.layers[i];
    const Tensor& bias = read.layers[i + 1];
    if (weight.dim() != 2 || bias.dim() != 1 ||
        weight.size(0) != bias.size(0) ||
        (i > 0 && weight.size(1) != read.layers[i - 2].size(0)))
      return std::nullopt;
    if (i == 0) widths.push_back(static_cast<std::size_t>(weight.size(1)));
    widths.push_back(static_cast<std::size_t>(weight.size(0)));
  }
  return widths;
}

// Gives parameters other values as long as it lives.
class OtherValues {
 public:
  explicit OtherValues(const std::vector<Tensor>& parameters)
      : parameters_(parameters) {
    for (Tensor& parameter : parameters_) {
      kept_.push_back(parameter.clone());
      const double fan_in =
          parameter.dim() > 1
              ? static_cast<double>(parameter.numel() / parameter.size(0))
              : 1;
      parameter.normal_(0, 1 / std::sqrt(fan_in), random_);
    }
  }
  ~OtherValues() {
    for (std::size_t i = 0; i < kept_.size(); ++i)
      parameters_[i].copy_(kept_[i]);
  }
  OtherValues(const OtherValues&) = delete;
  OtherValues& operator=(const OtherValues&) = delete;

  Tensor inputs(torch::IntArrayRef dims) {
    return torch::empty(dims).normal_(0, 1, random_);
  }

 private:
  const torch::NoGradGuard no_grad_;
  std::vector<Tensor> parameters_, kept_;
  // The process's own generator stays as it is.
  at::Generator random_ = at::make_generator<at::CPUGeneratorImpl>(1);
};

bool alike(const Tensor& a, const Tensor& b) {
  return a.sizes() == b.sizes() &&
         (a - b).abs().max().item<float>() <=
             kKernelRounding * a.abs().max().item<float>();
}

c10::IValue run(jit::Module network, const Tensor& inputs,
                const Tensor& labels) {
  const jit::GraphOptimizerEnabledGuard as_written(false);
  return network.forward({inputs, labels});
}

std::optional<KernelGenerator> read_generator(
    const jit::Module& network, const std::vector<Tensor>& parameters,
    std::uint32_t latent) {
  const auto read = read_layers(network);
  if (!read || !read->convolutions.empty() ||
      read->outputs != ScriptLayers::Outputs::kImages)
    return std::nullopt;
  const auto widths = widths_of(*read, parameters);
  if (!widths || widths->front() != latent) return std::nullopt;
  constexpr std::int64_t kRows = 3;
  OtherValues other(parameters);
  const Tensor latents = other.inputs({kRows, latent});
  const Tensor labels = torch::zeros({kRows}, torch::kInt64);
  if (read->embedding.defined()) labels[1] = read->embedding.size(0) - 1;
  Tensor x = latents;
  if (read->embedding.defined())
    x = x * torch::embedding(read->embedding, labels);
  const Tensor images = run(network, latents, labels).toTensor();
  if (!alike(torch::tanh(dense_in_turn(read->layers, x)).view_as(images),
             images))
    return std::nullopt;
  return KernelGenerator{*widths, read->embedding};
}

std::optional<KernelDiscriminator> read_discriminator(
    const jit::Module& network, const std::vector<Tensor>& parameters,
    const ImageShape& image, Condition condition) {
  using enum ScriptLayers::Outputs;
  const auto read = read_layers(network);
  const bool with_classes = condition == Condition::kAcgan;
  if (condition == Condition::kProjection || !read ||
      read->embedding.defined() ||
      read->outputs != (with_classes ? kLogitsAndClasses : kLogits))
    return std::nullopt;
  auto widths = widths_of(*read, parameters);
  if (!widths || widths->size() < 2 ||
      (read->convolutions.empty() &&
       (widths->size() < 3 || widths->front() != image.values())) ||
      widths->back() != (with_classes ? 1U + image.classes : 1U))
    return std::nullopt;
  constexpr std::int64_t kRows = 3;
  OtherValues other(parameters);
  const Tensor images =
      other.inputs({kRows, image.channels, image.height, image.width});
  Tensor x = images;
  for (const auto& c : read->convolutions)
    x = leaky(torch::conv2d(x, c.weight, c.bias, c.geometry.stride,
                            c.geometry.padding));
  const Tensor out = dense_in_turn(read->layers, x.flatten(1));
  const c10::IValue judged =
      run(network, images, torch::zeros({kRows}, torch::kInt64));
  const bool is_alike =
      with_classes ? alike(out.select(1, 0),
                           judged.toTupleRef().elements()[0].toTensor()) &&
                         alike(out.slice(1, 1),
                               judged.toTupleRef().elements()[1].toTensor())
                   : alike(out.select(1, 0), judged.toTensor());
  if (!is_alike) return std::nullopt;
  widths->pop_back();
  if (!read->convolutions.empty()) widths->clear();
  return KernelDiscriminator{read->convolutions, read->layers, *widths};
}

// A network on which LibTorch's passes fail is executed as it is.
template <typename Read>
auto none_if_it_throws(const jit::Module& network, Read read)
    -> decltype(read()) {
  try {
    if (network.buffers().size() > 0) return std::nullopt;
    return read();
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

}  // namespace

Tensor dense_in_turn(const std::vector<Tensor>& layers, Tensor x) {
  for (std::size_t i = 0; i < layers.size(); i += 2) {
    if (i > 0) x = leaky(x);
    x = linear(x, layers[i], layers[i + 1]);
  }
  return x;
}

std::optional<KernelGenerator> find_generator_kernels(
    const jit::Module& network, const std::vector<Tensor>& parameters,
    std::uint32_t latent) {
  return none_if_it_throws(
      network, [&] { return read_generator(network, parameters, latent); });
}

std::optional<KernelDiscriminator> find_discriminator_kernels(
    const jit::Module& network, const std::vector<Tensor>& parameters,
    const ImageShape& image, Condition condition) {
  return none_if_it_throws(network, [&] {
    return read_discriminator(network, parameters, image, condition);
  });
}

}  // namespace mdgan
