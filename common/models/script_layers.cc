#include "common/models/script_layers.h"

#include <torch/csrc/jit/passes/constant_propagation.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>
#include <torch/csrc/jit/passes/inliner.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <string_view>
#include <utility>

#include "common/tensor/leaky_slope.h"

namespace mdgan {
namespace {

namespace jit = torch::jit;
using torch::Tensor;

// Goes through a graph's operations and follows the rows that they pass on.
class LayerReader {
 public:
  explicit LayerReader(const jit::Module& network)
      : graph_(network.get_method("forward").graph()->copy()) {
    jit::Inline(*graph_);
    jit::ConstantPropagation(graph_);
    jit::EliminateDeadCode(graph_);
    constants_[graph_->inputs()[0]] = network._ivalue();
    rows_ = graph_->inputs()[1];
    labels_ = graph_->inputs()[2];
  }

  // None: it is not understood.
  std::optional<ScriptLayers> read() {
    if (!std::ranges::all_of(graph_->nodes(),
                             [this](const jit::Node* node) {
                               return node->blocks().empty() &&
                                      node->outputs().size() == 1 &&
                                      read(*node, node->output());
                             }) ||
        graph_->outputs().size() != 1)
      return std::nullopt;
    const jit::Value* const out = graph_->outputs()[0];
    using enum ScriptLayers::Outputs;
    if (bounded_ && out == rows_)
      read_.outputs = kImages;
    else if (ends_with_outputs() && is_logits(out))
      read_.outputs = kLogits;
    else if (ends_with_outputs() && out == pair_)
      read_.outputs = kLogitsAndClasses;
    else
      return std::nullopt;
    return std::move(read_);
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
    if (!read_.layers.empty() || read_.embedding.defined() ||
        node.input(1) != labels_ || !is_int(node.input(2), -1) ||
        !is_false(node.input(3)) || !is_false(node.input(4)))
      return false;
    const c10::IValue* weight = constant(node.input(0));
    if (weight == nullptr || !weight->isTensor()) return false;
    read_.embedding = weight->toTensor();
    embedded_ = out;
    return true;
  }

  bool read_product(const jit::Node& node, const jit::Value* out) {
    if (!read_.layers.empty() || embedded_ == nullptr) return false;
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
        !read_.layers.empty() || embedded_ != nullptr || !stride || !padding ||
        both(node.input(5)) != 1 || !is_int(node.input(6), 1))
      return false;
    read_.convolutions.push_back({constant(node.input(1))->toTensor(),
                                  constant(node.input(2))->toTensor(),
                                  {*stride, *padding}});
    activated_ = false;
    rows_ = out;
    return true;
  }

  bool read_linear(const jit::Node& node, const jit::Value* out) {
    if (!is_layer(node)) return false;
    read_.layers.push_back(constant(node.input(1))->toTensor());
    read_.layers.push_back(constant(node.input(2))->toTensor());
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
    if (node.input(0) != rows_ || read_.layers.empty() || activated_ ||
        bounded_)
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
  bool has_layers() const {
    return !read_.convolutions.empty() || !read_.layers.empty();
  }
  // Whether these are the outputs of the last layer.
  bool is_output(const jit::Value* value) const {
    return ends_with_outputs() &&
           (value == rows_ || all_outputs_.contains(value));
  }
  bool ends_with_outputs() const {
    return !read_.layers.empty() && !activated_ && !bounded_;
  }
  bool is_logits(const jit::Value* value) const {
    return value == logits_ ||
           (is_output(value) && read_.layers.back().numel() == 1);
  }

  std::shared_ptr<jit::Graph> graph_;
  ScriptLayers read_;                                   // so far
  std::map<const jit::Value*, c10::IValue> constants_;  // modules among them
  const jit::Value* rows_ = nullptr;
  const jit::Value* labels_ = nullptr;
  const jit::Value* embedded_ = nullptr;       // rows of the embedding
  bool activated_ = false, bounded_ = false;   // the last layer
  std::set<const jit::Value*> all_outputs_{};  // slices that leave out nothing
  const jit::Value* logits_ = nullptr;
  const jit::Value* class_logits_ = nullptr;
  const jit::Value* pair_ = nullptr;  // of both
};

}  // namespace

std::optional<ScriptLayers> read_layers(const jit::Module& network) {
  return LayerReader(network).read();
}

}  // namespace mdgan
