// Operations for TorchScript's graphs that stand for LibTorch's convolutions.

#include <torch/csrc/jit/passes/inliner.h>
#include <torch/csrc/jit/runtime/custom_operator.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/kernels/convolution/convolution.h"
#include "common/models/script_kernels.h"

namespace mdgan {
namespace {

namespace jit = torch::jit;
using torch::Tensor;

using Pair = std::vector<std::int64_t>;  // for both directions of an image

bool is_even(const Pair& pair) {
  return pair.size() == 2 && pair[0] == pair[1];
}

// Whether ours compute it: they take square kernels, and give float32.
bool fits(const Tensor& x, const Tensor& weight,
          const c10::optional<Tensor>& bias, const Pair& stride,
          const Pair& padding, const Pair& dilation, std::int64_t groups) {
  const auto is_float = [](const Tensor& t) {
    return t.scalar_type() == torch::kFloat32;
  };
  return x.dim() == 4 && weight.dim() == 4 &&
         weight.size(2) == weight.size(3) && is_float(x) && is_float(weight) &&
         (!bias || !bias->defined() || is_float(*bias)) && is_even(stride) &&
         is_even(padding) && dilation == Pair{1, 1} && groups == 1;
}

Tensor defined_or_none(const c10::optional<Tensor>& tensor) {
  return tensor.value_or(Tensor());
}

// aten::conv2d's arguments.
void run_convolution(jit::Stack& stack) {
  const auto groups = jit::pop(stack).toInt();
  const Pair dilation = jit::pop(stack).toIntVector();
  const Pair padding = jit::pop(stack).toIntVector();
  const Pair stride = jit::pop(stack).toIntVector();
  const auto bias = jit::pop(stack).toOptional<Tensor>();
  const Tensor weight = jit::pop(stack).toTensor();
  const Tensor x = jit::pop(stack).toTensor();
  const bool is_ours = fits(x, weight, bias, stride, padding, dilation, groups);
  jit::push(stack, is_ours ? convolve(x, weight, defined_or_none(bias),
                                      {stride[0], padding[0]})
                           : at::conv2d(x, weight, bias, stride, padding,
                                        dilation, groups));
}

// aten::conv_transpose2d's arguments.
void run_deconvolution(jit::Stack& stack) {
  const Pair dilation = jit::pop(stack).toIntVector();
  const auto groups = jit::pop(stack).toInt();
  const Pair output_padding = jit::pop(stack).toIntVector();
  const Pair padding = jit::pop(stack).toIntVector();
  const Pair stride = jit::pop(stack).toIntVector();
  const auto bias = jit::pop(stack).toOptional<Tensor>();
  const Tensor weight = jit::pop(stack).toTensor();
  const Tensor x = jit::pop(stack).toTensor();
  const bool is_ours =
      fits(x, weight, bias, stride, padding, dilation, groups) &&
      is_even(output_padding) && output_padding[0] < stride[0];
  jit::push(stack,
            is_ours ? deconvolve(x, weight, defined_or_none(bias),
                                 {stride[0], padding[0]}, output_padding[0])
                    : at::conv_transpose2d(x, weight, bias, stride, padding,
                                           output_padding, groups, dilation));
}

const jit::RegisterOperators kOperators({
    jit::Operator("mdgan::conv2d(Tensor input, Tensor weight, Tensor? bias, "
                  "int[] stride, int[] padding, int[] dilation, int groups) "
                  "-> Tensor",
                  run_convolution, c10::AliasAnalysisKind::FROM_SCHEMA),
    jit::Operator("mdgan::conv_transpose2d(Tensor input, Tensor weight, "
                  "Tensor? bias, int[] stride, int[] padding, int[] "
                  "output_padding, int groups, int[] dilation) -> Tensor",
                  run_deconvolution, c10::AliasAnalysisKind::FROM_SCHEMA),
});

void replace(jit::Block& block) {
  std::vector<jit::Node*> found;
  for (jit::Node* node : block.nodes()) {
    const std::string_view name = node->kind().toQualString();
    // The padding may be a word instead.
    const bool is_convolution =
        (name == "aten::conv2d" || name == "aten::conv_transpose2d") &&
        node->input(4)->type()->kind() == c10::TypeKind::ListType;
    if (is_convolution) found.push_back(node);
    for (jit::Block* inner : node->blocks()) replace(*inner);
  }
  for (jit::Node* node : found) {
    const auto ours = c10::Symbol::fromQualString(
        "mdgan::" + std::string(node->kind().toUnqualString()));
    jit::Node* replaced = block.owningGraph()->create(ours, node->inputs());
    replaced->output()->setType(node->output()->type());
    replaced->insertBefore(node);
    node->output()->replaceAllUsesWith(replaced->output());
    node->destroy();
  }
}

}  // namespace

std::shared_ptr<jit::Graph> with_our_convolutions(const jit::Module& network) {
  auto graph = network.get_method("forward").graph()->copy();
  jit::Inline(*graph);
  replace(*graph->block());
  return graph;
}

}  // namespace mdgan
