#include "common/models/script_kernels.h"

#include <torch/csrc/jit/passes/constant_propagation.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>
#include <torch/csrc/jit/passes/inliner.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <exception>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <string_view>

#include "common/models/linear.h"
#include "common/tensor/leaky.h"
#include "common/tensor/leaky_slope.h"

namespace mdgan {
namespace {

namespace jit = torch::jit;
using torch::Tensor;

// Sums are made in another order.
constexpr float kKernelRounding = 1e-4F;

// Goes through a graph's operations and follows the rows that they pass on.
class LayerReader {
 public:
  using Convolution = KernelDiscriminator::Convolution;

  explicit LayerReader(const jit::Module& network)
      : graph_(network.get_method("forward").graph()->copy()) {
    jit::Inline(*graph_);
    jit::ConstantPropagation(graph_);
    jit::EliminateDeadCode(graph_);
    constants_[graph_->inputs()[0]] = network._ivalue();
    rows_ = graph_->inputs()[1];
    labels_ = graph_->inputs()[2];
  }

  // Whether all of it is understood.
  bool read() {
    return std::ranges::all_of(graph_->nodes(), [this](const jit::Node* node) {
      return node->blocks().empty() && node->outputs().size() == 1 &&
             read(*node, node->output());
    });
  }

  // The linear layers' weights and biases in turn.
  const std::vector<Tensor>& layers() const { return layers_; }
  const std::vector<Convolution>& convolutions() const { return convolutions_; }
  const Tensor& embedding() const { return embedding_; }
  bool ends_with_images() const {
    return bounded_ && graph_->outputs().size() == 1 &&
           graph_->outputs()[0] == rows_;
  }
  bool ends_with_logits() const {
    return ends_with_outputs() && graph_->outputs().size() == 1 &&
           is_logits(graph_->outputs()[0]);
  }
  bool ends_with_both_logits() const {
    return ends_with_outputs() && graph_->outputs().size() == 1 &&
           pair_ == graph_->outputs()[0] && pair_ != nullptr;
  }

 private:
  bool read(const jit::Node& node, const jit::Value* out) {
    const auto kind = node.kind();
    if (kind == c10::prim::Constant) return read_constant(out);
    if (kind == c10::prim::GetAttr) return read_attribute(node, out);
    // Only changes of shape use them.
    if (kind == c10::prim::ListConstruct || kind == c10::aten::size)
      return true;
    if (kind == c10::prim::TupleConstruct) return read_pair(node, out);
    const std::string_view name = kind.toQualString();
    if (name == "aten::embedding") return read_embedding(node, out);
    if (name == "aten::mul") return read_product(node, out);
    if (name == "aten::conv2d") return read_convolution(node, out);
    if (name == "aten::linear") return read_linear(node, out);
    if (name == "aten::leaky_relu" || name == "aten::leaky_relu_")
      return read_activation(node, out);
    if (name == "aten::tanh" || name == "aten::tanh_")
      return read_tanh(node, out);
    if (name == "aten::flatten" || name == "aten::view" ||
        name == "aten::reshape" || name == "aten::squeeze")
      return read_shape(node, out);
    if (name == "aten::select") return read_select(node, out);
    if (name == "aten::slice") return read_slice(node, out);
    return false;
  }

  bool read_constant(const jit::Value* out) {
    const auto value = jit::toIValue(out);
    if (value) constants_[out] = *value;
    return value.has_value();
  }

  bool read_attribute(const jit::Node& node, const jit::Value* out) {
    const c10::IValue* owner = constant(node.input());
    if (owner == nullptr || !owner->isObject()) return false;
    constants_[out] = owner->toObjectRef().getAttr(node.s(c10::attr::name));
    return true;
  }

  bool read_embedding(const jit::Node& node, const jit::Value* out) {
    // With padding a row would take no gradient.
    if (!layers_.empty() || embedding_.defined() || node.input(1) != labels_ ||
        !is_int(node.input(2), -1) || !is_false(node.input(3)) ||
        !is_false(node.input(4)))
      return false;
    const c10::IValue* weight = constant(node.input(0));
    if (weight == nullptr || !weight->isTensor()) return false;
    embedding_ = weight->toTensor();
    embedded_ = out;
    return true;
  }

  bool read_product(const jit::Node& node, const jit::Value* out) {
    if (!layers_.empty() || embedded_ == nullptr) return false;
    const bool is_product =
        (node.input(0) == rows_ && node.input(1) == embedded_) ||
        (node.input(0) == embedded_ && node.input(1) == rows_);
    embedded_ = nullptr;  // once
    rows_ = out;
    return is_product;
  }

  // Whether a layer comes next whose weight and bias these are.
  bool is_layer(const jit::Node& node) const {
    const c10::IValue* weight = constant(node.input(1));
    const c10::IValue* bias = constant(node.input(2));
    return node.input(0) == rows_ && (activated_ || !has_layers()) &&
           weight != nullptr && weight->isTensor() && bias != nullptr &&
           bias->isTensor();
  }

  static bool is_square(const Tensor& kernels) {
    return kernels.dim() == 4 && kernels.size(2) == kernels.size(3);
  }

  bool read_convolution(const jit::Node& node, const jit::Value* out) {
    const auto stride = both(node.input(3));
    const auto padding = both(node.input(4));
    if (!is_layer(node) || !is_square(constant(node.input(1))->toTensor()) ||
        !layers_.empty() || embedded_ != nullptr || !stride || !padding ||
        both(node.input(5)) != 1 || !is_int(node.input(6), 1))
      return false;
    convolutions_.push_back({constant(node.input(1))->toTensor(),
                             constant(node.input(2))->toTensor(),
                             {*stride, *padding}});
    activated_ = false;
    rows_ = out;
    return true;
  }

  bool read_linear(const jit::Node& node, const jit::Value* out) {
    if (!is_layer(node)) return false;
    layers_.push_back(constant(node.input(1))->toTensor());
    layers_.push_back(constant(node.input(2))->toTensor());
    activated_ = false;
    rows_ = out;
    return true;
  }

  bool read_activation(const jit::Node& node, const jit::Value* out) {
    const c10::IValue* slope = constant(node.input(1));
    if (node.input(0) != rows_ || !has_layers() || activated_ || bounded_ ||
        slope == nullptr || !slope->isDouble() ||
        slope->toDouble() != kLeakySlope)
      return false;
    activated_ = true;
    rows_ = out;
    return true;
  }

  bool read_tanh(const jit::Node& node, const jit::Value* out) {
    if (node.input(0) != rows_ || layers_.empty() || activated_ || bounded_)
      return false;
    bounded_ = true;
    rows_ = out;
    return true;
  }

  // Changes of shape keep the order of the values. What becomes of the shape is
  // left to the comparison.
  bool read_shape(const jit::Node& node, const jit::Value* out) {
    if (node.input(0) == rows_)
      rows_ = out;
    else if (!is_logits(node.input(0)))
      return false;
    else
      logits_ = out;
    return true;
  }

  bool read_select(const jit::Node& node, const jit::Value* out) {
    logits_ = out;
    return is_output(node.input(0)) && is_int(node.input(1), 1) &&
           is_int(node.input(2), 0);
  }

  bool read_slice(const jit::Node& node, const jit::Value* out) {
    constexpr auto kEnd = std::numeric_limits<std::int64_t>::max();
    if (!is_output(node.input(0)) || !is_int(node.input(4), 1) ||
        !(is_none(node.input(3)) || is_int(node.input(3), kEnd)))
      return false;
    if (is_int(node.input(1), 0))  // of rows: all
      return (is_none(node.input(2)) || is_int(node.input(2), 0)) &&
             all_outputs_.insert(out).second;
    class_logits_ = out;
    return is_int(node.input(1), 1) && is_int(node.input(2), 1);
  }

  bool read_pair(const jit::Node& node, const jit::Value* out) {
    if (node.inputs().size() != 2 || !is_logits(node.input(0)) ||
        node.input(1) != class_logits_)
      return false;
    pair_ = out;
    return true;
  }

  const c10::IValue* constant(const jit::Value* value) const {
    const auto found = constants_.find(value);
    return found == constants_.end() ? nullptr : &found->second;
  }
  bool is_int(const jit::Value* value, std::int64_t expected) const {
    const c10::IValue* found = constant(value);
    return found != nullptr && found->isInt() && found->toInt() == expected;
  }
  // What a list has for both directions of an image.
  std::optional<std::int64_t> both(const jit::Value* value) const {
    const c10::IValue* found = constant(value);
    if (found == nullptr || !found->isIntList()) return std::nullopt;
    const auto list = found->toIntVector();
    if (list.size() != 2 || list[0] != list[1]) return std::nullopt;
    return list[0];
  }
  bool is_false(const jit::Value* value) const {
    const c10::IValue* found = constant(value);
    return found != nullptr && found->isBool() && !found->toBool();
  }
  bool is_none(const jit::Value* value) const {
    const c10::IValue* found = constant(value);
    return found != nullptr && found->isNone();
  }
  bool has_layers() const { return !convolutions_.empty() || !layers_.empty(); }
  // Whether these are the outputs of the last layer.
  bool is_output(const jit::Value* value) const {
    return ends_with_outputs() &&
           (value == rows_ || all_outputs_.contains(value));
  }
  bool ends_with_outputs() const {
    return !layers_.empty() && !activated_ && !bounded_;
  }
  bool is_logits(const jit::Value* value) const {
    return value == logits_ ||
           (is_output(value) && layers_.back().numel() == 1);
  }

  std::shared_ptr<jit::Graph> graph_;
  std::map<const jit::Value*, c10::IValue> constants_;  // modules among them
  const jit::Value* rows_ = nullptr;                    // so far
  const jit::Value* labels_ = nullptr;
  const jit::Value* embedded_ = nullptr;  // rows of the embedding
  std::vector<Convolution> convolutions_;
  std::vector<Tensor> layers_;
  Tensor embedding_;
  bool activated_ = false, bounded_ = false;   // the last layer
  std::set<const jit::Value*> all_outputs_{};  // slices that leave out nothing
  const jit::Value* logits_ = nullptr;
  const jit::Value* class_logits_ = nullptr;
  const jit::Value* pair_ = nullptr;  // of both
};

// The widths of the input and of each layer; none unless the parameters are
// these layers' and the embedding, in turn.
std::optional<std::vector<std::size_t>> widths_of(
    const LayerReader& read, const std::vector<Tensor>& parameters) {
  std::vector<Tensor> expected;
  for (const auto& convolution : read.convolutions()) {
    expected.push_back(convolution.weight);
    expected.push_back(convolution.bias);
  }
  expected.insert(expected.end(), read.layers().begin(), read.layers().end());
  if (read.embedding().defined()) expected.push_back(read.embedding());
  if (!std::ranges::equal(expected, parameters,
                          [](const Tensor& a, const Tensor& b) {
                            return a.is_same(b) && a.is_contiguous();
                          }))
    return std::nullopt;
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < read.layers().size(); i += 2) {
    const Tensor& weight = read.layers()[i];
    const Tensor& bias = read.layers()[i + 1];
    if (weight.dim() != 2 || bias.dim() != 1 ||
        weight.size(0) != bias.size(0) ||
        (i > 0 && weight.size(1) != read.layers()[i - 2].size(0)))
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
  LayerReader read(network);
  if (!read.read() || !read.convolutions().empty() || !read.ends_with_images())
    return std::nullopt;
  const auto widths = widths_of(read, parameters);
  if (!widths || widths->front() != latent) return std::nullopt;
  constexpr std::int64_t kRows = 3;
  OtherValues other(parameters);
  const Tensor latents = other.inputs({kRows, latent});
  const Tensor labels = torch::zeros({kRows}, torch::kInt64);
  if (read.embedding().defined()) labels[1] = read.embedding().size(0) - 1;
  Tensor x = latents;
  if (read.embedding().defined())
    x = x * torch::embedding(read.embedding(), labels);
  const Tensor images = run(network, latents, labels).toTensor();
  if (!alike(torch::tanh(dense_in_turn(read.layers(), x)).view_as(images),
             images))
    return std::nullopt;
  return KernelGenerator{*widths, read.embedding()};
}

std::optional<KernelDiscriminator> read_discriminator(
    const jit::Module& network, const std::vector<Tensor>& parameters,
    const ImageShape& image, Condition condition) {
  LayerReader read(network);
  const bool with_classes = condition == Condition::kAcgan;
  if (condition == Condition::kProjection || !read.read() ||
      read.embedding().defined() ||
      !(with_classes ? read.ends_with_both_logits() : read.ends_with_logits()))
    return std::nullopt;
  auto widths = widths_of(read, parameters);
  if (!widths || widths->size() < 2 ||
      (read.convolutions().empty() &&
       (widths->size() < 3 || widths->front() != image.values())) ||
      widths->back() != (with_classes ? 1U + image.classes : 1U))
    return std::nullopt;
  constexpr std::int64_t kRows = 3;
  OtherValues other(parameters);
  const Tensor images =
      other.inputs({kRows, image.channels, image.height, image.width});
  Tensor x = images;
  for (const auto& c : read.convolutions())
    x = leaky(torch::conv2d(x, c.weight, c.bias, c.geometry.stride,
                            c.geometry.padding));
  const Tensor out = dense_in_turn(read.layers(), x.flatten(1));
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
  if (!read.convolutions().empty()) widths->clear();
  return KernelDiscriminator{read.convolutions(), read.layers(), *widths};
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
