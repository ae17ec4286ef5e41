#include "common/models/script_model.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>
#include <torch/csrc/jit/passes/inliner.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/script.h>

#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "common/kernels/convolution/convolution_stack.h"
#include "common/models/script_checks.h"
#include "common/models/script_file.h"
#include "common/models/script_kernels.h"
#include "common/models/script_layer.h"
#include "common/tensor/guard.h"

namespace mdgan {
namespace {

namespace jit = torch::jit;
using torch::Tensor;

constexpr const char* kGenerator = "generator";
constexpr const char* kDiscriminator = "discriminator";
constexpr const char* kInitialLaw = "initial_law";

jit::Module load(const ScriptFile& file) {
  std::istringstream bytes(file.bytes);
  return jit::load(bytes);
}

jit::Module part_of(const jit::Module& pair, const char* name) {
  if (!pair.hasattr(name) || !pair.attr(name).isModule())
    refuse("it has no submodule {}", name);
  jit::Module part = pair.attr(name).toModule();
  const auto forward = part.find_method("forward");
  if (!forward || forward->num_inputs() != 3)  // with self
    refuse("its {0} has no forward(self, {1}, labels)", name,
           name == kGenerator ? "latents" : "images");
  return part;
}

// --- a program ---------------------------------------------------------------

void check_block(const jit::Block& block, const char* part) {
  for (const jit::Node* node : block.nodes()) {
    if (node->kind() == c10::prim::SetAttr)
      refuse(
          "its {} changes its attribute {} as it computes, which no checkpoint "
          "has: leave that out",
          part, node->s(c10::attr::name));
    if (node->kind() == c10::prim::fork)
      refuse("its {} computes in threads of its own (fork): leave that out",
             part);
    for (const jit::Block* inner : node->blocks()) check_block(*inner, part);
  }
}

void check_program(const jit::Module& module, const char* part) {
  const auto graph = module.get_method("forward").graph()->copy();
  jit::Inline(*graph);
  check_block(*graph->block(), part);
}

// --- its tensors -------------------------------------------------------------

ScriptKind kind_of(const jit::Module& layer) {
  const auto name = layer.type()->name();
  if (!name ||
      !name->qualifiedName().starts_with("__torch__.torch.nn.modules."))
    return ScriptKind::kAsMade;
  std::vector<std::string> parameters;
  for (const auto& item : layer.named_parameters(/*recurse=*/false))
    parameters.push_back(item.name);
  if (parameters != std::vector<std::string>{"weight"} &&
      parameters != std::vector<std::string>{"weight", "bias"})
    return ScriptKind::kAsMade;  // of weight_norm() and the like
  const std::string& kind = name->name();
  if (kind == "BatchNorm2d") return ScriptKind::kNorm;
  if (kind == "Embedding") return ScriptKind::kEmbedding;
  if (kind == "Linear" || kind == "Conv2d" || kind == "ConvTranspose2d")
    return ScriptKind::kWeights;
  return ScriptKind::kAsMade;
}

// Registers the tensors of `from` and its children, the very same, under their
// names.
void take_tensors(torch::nn::Module& to, const jit::Module& from) {
  for (const auto& item : from.named_parameters(/*recurse=*/false))
    to.register_parameter(item.name, item.value, item.value.requires_grad());
  for (const auto& item : from.named_buffers(/*recurse=*/false))
    to.register_buffer(item.name, item.value);
  for (const auto& item : from.named_children()) {
    auto layer = std::make_shared<ScriptLayer>(kind_of(item.value));
    take_tensors(*layer, item.value);
    to.register_module(item.name, std::move(layer));
  }
}

// --- the networks ------------------------------------------------------------

Tensor labels_or_zeros(const Tensor& labels, const Tensor& inputs) {
  if (labels.defined()) return labels;
  return torch::zeros(
      {inputs.size(0)},
      torch::TensorOptions(inputs.device()).dtype(torch::kInt64));
}

// What a generator and a discriminator from a file have in common.
class Script {
 public:
  Script(std::shared_ptr<const ScriptFile> file, const char* part,
         torch::nn::Module& model)
      : file_(std::move(file)), part_(part) {
    const jit::Module pair = load(*file_);
    module_ = part_of(pair, part);
    check_program(module_, part);
    if (pair.hasattr(kInitialLaw)) {
      const c10::IValue law = pair.attr(kInitialLaw);
      law_ = law.isString() ? law.toStringRef() : "?";
      if (law_ != "pytorch" && law_ != "dcgan")
        refuse("its {} is neither \"pytorch\" nor \"dcgan\"", kInitialLaw);
    }
    take_tensors(model, module_);
    executor_.emplace(with_our_convolutions(module_), part);
  }

  const jit::Module& network() const { return module_; }
  bool are_drawn() const { return !law_.empty(); }
  InitialLaw law() const {
    return law_ == "dcgan" ? InitialLaw::kDcgan : InitialLaw::kPyTorch;
  }
  void train(bool on) { module_.train(on); }

  c10::IValue run(const Tensor& inputs, const Tensor& labels) {
    const jit::GraphOptimizerEnabledGuard as_written(false);
    jit::Stack stack{module_._ivalue(), inputs,
                     labels_or_zeros(labels, inputs)};
    executor_->run(stack);
    return stack.front();
  }

  void restore(torch::nn::Module& model) const {
    const torch::NoGradGuard no_grad;
    torch::nn::Module fresh;
    take_tensors(fresh, load(*file_).attr(part_).toModule());
    const auto copy = [](const std::vector<Tensor>& to,
                         const std::vector<Tensor>& from) {
      for (std::size_t i = 0; i < to.size(); ++i) to[i].copy_(from[i]);
    };
    copy(model.parameters(), fresh.parameters());
    copy(model.buffers(), fresh.buffers());
  }

  Tensor tensor(const c10::IValue& value, const char* what,
                const std::vector<std::int64_t>& dims) const {
    if (!value.isTensor())
      refuse("its {} returns a {}, where {} were expected, Float [{}]", part_,
             value.tagKind(), what, fmt::join(dims, ", "));
    const Tensor result = value.toTensor();
    if (result.scalar_type() != torch::kFloat32 ||
        result.sizes() != torch::IntArrayRef(dims))
      refuse("its {} returns {}, where {} were expected, Float [{}]", part_,
             type_and_dims(result), what, fmt::join(dims, ", "));
    return result.contiguous();
  }

 private:
  std::shared_ptr<const ScriptFile> file_;
  const char* part_;
  std::string law_;  // empty: none
  jit::Module module_;
  std::optional<jit::GraphExecutor> executor_;  // of its forward()
};

class ScriptGenerator final : public Generator, public ScriptValues {
 public:
  ScriptGenerator(std::shared_ptr<const ScriptFile> file,
                  const ImageShape& image)
      : image_(image), script_(std::move(file), kGenerator, *this) {}

  Tensor forward(const Tensor& latents, const Tensor& labels) override {
    return script_.tensor(
        script_.run(latents, labels), "images",
        {latents.size(0), image_.channels, image_.height, image_.width});
  }
  Tensor embed(const Tensor& latents, const Tensor& labels) override {
    if (!kernels_.embedding.defined()) return latents;
    return latents * torch::embedding(kernels_.embedding,
                                      labels_or_zeros(labels, latents));
  }
  std::vector<std::size_t> dense_widths() const override {
    return kernels_.widths;
  }
  // To be computed by our kernels, if it is what they do.
  void use_kernels(std::uint32_t latent) {
    kernels_ = find_generator_kernels(script_.network(), parameters(), latent)
                   .value_or(KernelGenerator{});
  }
  InitialLaw initial_law() const override { return script_.law(); }
  bool are_drawn() const override { return script_.are_drawn(); }
  void restore() override { script_.restore(*this); }
  void train(bool on) override {
    Generator::train(on);
    script_.train(on);
  }

 private:
  ImageShape image_;
  Script script_;
  KernelGenerator kernels_;  // without widths: it is none
};

class ScriptDiscriminator final : public Discriminator, public ScriptValues {
 public:
  ScriptDiscriminator(std::shared_ptr<const ScriptFile> file,
                      const ImageShape& image, Condition condition)
      : classes_(condition == Condition::kAcgan ? image.classes : 0),
        script_(std::move(file), kDiscriminator, *this) {}

  Tensor features(const Tensor& images) override {
    if (stack_.size() > 0) return stack_.forward(images).flatten(1);
    return images;  // the script is one piece
  }
  std::vector<std::size_t> dense_widths() const override {
    return kernels_.widths;
  }
  ConvolutionStack* convolutions() override {
    return stack_.size() > 0 ? &stack_ : nullptr;
  }
  // To be computed by our kernels, if it is what they do.
  void use_kernels(const ImageShape& image, Condition condition) {
    kernels_ = find_discriminator_kernels(script_.network(), parameters(),
                                          image, condition)
                   .value_or(KernelDiscriminator{});
    for (const auto& layer : kernels_.convolutions)
      stack_.push_back(layer.weight, layer.bias, layer.geometry);
  }
  DiscriminatorOutput head(const Tensor& images,
                           const Tensor& labels) override {
    if (stack_.size() > 0) {
      const Tensor out = dense_in_turn(kernels_.layers, images);
      return {out.select(1, 0), classes_ == 0 ? Tensor() : out.slice(1, 1)};
    }
    const c10::IValue value = script_.run(images, labels);
    const std::int64_t n = images.size(0);
    if (classes_ == 0) return {script_.tensor(value, "logits", {n}), {}};
    if (!value.isTuple() || value.toTupleRef().elements().size() != 2)
      refuse(
          "its discriminator returns a {}, where a tuple was expected of "
          "logits, Float [{}], and class logits, Float [{}, {}]",
          value.tagKind(), n, n, classes_);
    const auto& both = value.toTupleRef().elements();
    return {script_.tensor(both[0], "logits", {n}),
            script_.tensor(both[1], "class logits", {n, classes_})};
  }
  InitialLaw initial_law() const override { return script_.law(); }
  bool are_drawn() const override { return script_.are_drawn(); }
  void restore() override { script_.restore(*this); }
  void train(bool on) override {
    Discriminator::train(on);
    script_.train(on);
  }

 private:
  std::int64_t classes_;
  Script script_;
  KernelDiscriminator kernels_;  // without layers: it is none
  ConvolutionStack stack_;       // its convolutions
};

// LibTorch quotes the script's lines above its own error, which comes last.
std::string last_line(std::string message) {
  while (message.ends_with('\n')) message.pop_back();
  return message.substr(message.rfind('\n') + 1);
}

std::string words_of(const std::exception& exception) {
  std::string words = explained(exception, ExitCode::kConfiguration).message;
  if (words.starts_with(kOwnModelFailed))
    words.erase(0, kOwnModelFailed.size());
  return last_line(std::move(words));
}

// Returns what make(file) returns, or what it throws as an error.
template <typename Make>
auto made_of(std::string_view model, Make make)
    -> Result<decltype(make(std::shared_ptr<const ScriptFile>()))> {
  auto file = find_script(model);
  if (!file) return file.error();
  const std::string path = (*file)->path;
  try {
    return make(std::move(*file));
  } catch (const std::exception& exception) {
    return Error{
        fmt::format("the model in {} cannot be used: {}; docs/own-models.md "
                    "says what it must be",
                    path, words_of(exception)),
        ExitCode::kConfiguration};
  }
}

}  // namespace

Result<std::shared_ptr<Generator>> make_script_generator(
    std::string_view model, const ImageShape& image, std::uint32_t latent) {
  return made_of(model, [&](auto file) {
    auto made = std::make_shared<ScriptGenerator>(std::move(file), image);
    check_network(*made, image, latent);
    made->use_kernels(latent);
    made->restore();
    return std::shared_ptr<Generator>(std::move(made));
  });
}

Result<std::shared_ptr<Discriminator>> make_script_discriminator(
    std::string_view model, const ImageShape& image, Condition condition) {
  return made_of(model, [&](auto file) {
    auto made = std::make_shared<ScriptDiscriminator>(std::move(file), image,
                                                      condition);
    check_network(*made, image);
    made->use_kernels(image, condition);
    return std::shared_ptr<Discriminator>(std::move(made));
  });
}

Result<void> check_second_derivative(Discriminator& model,
                                     const ImageShape& image) {
  try {
    differentiate_twice(model, image);
    return {};
  } catch (const std::exception& exception) {
    return Error{
        fmt::format("the model's discriminator cannot be differentiated twice, "
                    "as r1, r2 and wgan-gp need: {}; leave them out",
                    words_of(exception)),
        ExitCode::kConfiguration};
  }
}

}  // namespace mdgan
