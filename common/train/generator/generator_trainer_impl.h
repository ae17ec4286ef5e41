// The implementation of GeneratorTrainer, which its .cc files share; no other
// file includes this.
#pragma once

#include <torch/torch.h>

#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "common/kernels/dense/dense_stack.h"
#include "common/models/model.h"
#include "common/tensor/flat_adam.h"
#include "common/tensor/upload_buffer.h"
#include "common/train/generator/generator_trainer.h"

namespace mdgan {

using NamedTensors = std::vector<std::pair<std::string, torch::Tensor>>;

std::vector<torch::Tensor> copies_of(const std::vector<torch::Tensor>& from);

// Copies values without autograd's knowledge, which would take this for a
// change of a value that a pending backward pass needs. It needs none of these:
// batch normalisation goes back through its batch's own statistics.
void assign(const std::vector<torch::Tensor>& to,
            const std::vector<torch::Tensor>& from);

double norm_of(const std::vector<torch::Tensor>& parts);

Error diverged(Round round, std::string_view what);

struct GeneratorTrainer::Impl {
  // generate()'s forward pass, which step() goes back through.
  struct ForwardPass {
    UploadBuffer latents;  // [k*b, latent]
    UploadBuffer labels;   // [k*b] int64; undefined: unconditional
    std::vector<ClassCounts> label_counts;  // of each batch; empty: uniform
    torch::Tensor images;                   // [k*b, c, h, w]; its graph, or
    torch::Tensor input;                    // the stack's input with its graph
    DenseScratch scratch;                   // the stack's activations
    std::vector<torch::Tensor> buffers;     // the model's, once it has stepped
    std::uint64_t updates = 0;              // before it, of the weights
  };

  Impl(const GeneratorSpec& the_spec, torch::Device where,
       std::shared_ptr<Generator> generator,
       std::shared_ptr<Generator> moving_average);

  std::int64_t rows() const { return std::int64_t{spec.k} * spec.batch; }
  bool conditional() const { return spec.condition != Condition::kNone; }
  torch::Tensor batch_of(const torch::Tensor& all, std::uint32_t j) const {
    return all.narrow(0, std::int64_t{j} * spec.batch, spec.batch);
  }
  // generator_pass.cc
  void draw_inputs(Round round, ForwardPass& to) const;
  const ForwardPass& forward(Round round, std::span<const ClassCounts> labels);
  // Passes its latents and labels through the weights of the moment.
  void pass_forward(ForwardPass& passed);
  torch::Tensor forward_dense(ForwardPass& passed);
  // Goes back from `merged` to the gradients of the parameters, in parts.
  std::vector<torch::Tensor> backward(ForwardPass& passed);
  std::vector<torch::Tensor> backward_dense(ForwardPass& passed);
  // Closes the rounds up to this one.
  void close(Round newest);
  void close_one(std::map<Round, ForwardPass>::iterator at);
  // Writes into `merged`, for each batch, the sum by the spec's rule, divided
  // by the number of contributions. Tells of the rule, and of the norm, in
  // `report`.
  void merge(const ForwardPass& passed,
             std::span<const Contribution> contributions, StepReport& report);
  // Weighs the samples of `sum` where the pass has label counts.
  void weigh_classes(const ForwardPass& passed,
                     std::span<const Contribution> contributions,
                     torch::Tensor& sum) const;
  // What the contributions give: the parameters' gradient, in parts.
  struct Gradient {
    std::vector<torch::Tensor> parts;
    std::vector<torch::Tensor> buffers;  // the model's, once it has stepped
  };
  Result<Gradient> gradient(Round round,
                            std::span<const Contribution> contributions,
                            StepReport& report);
  void apply(const Gradient& gradient);
  Result<StepReport> step(Round round,
                          std::span<const Contribution> contributions);
  std::vector<torch::Tensor> parts_of(std::span<const float> weights) const;
  const std::shared_ptr<Generator>& sampled() const {
    return average != nullptr ? average : model;
  }
  NamedTensors named_state() const;
  Result<void> load(std::span<const NamedBlob> state);

  const GeneratorSpec spec;
  const torch::Device device;
  const std::shared_ptr<Generator> model;
  const std::shared_ptr<Generator> average;  // null: none is kept
  torch::Tensor values;                      // [P], what `model` views
  torch::Tensor average_values;              // [P], what `average` views
  FlatAdam adam;
  // The pass without autograd, if the model is dense layers on the CPU.
  std::optional<DenseStack> stack;
  torch::Tensor stack_gradients;  // of the stack's parameters
  torch::Tensor merged;           // [k*b, c, h, w], the summed feedback; reused
  std::map<Round, ForwardPass> open;
  std::uint64_t updates = 0;  // of the weights, by apply()
  ForwardPass spare;          // whose memory the next round reuses
};

}  // namespace mdgan
