// The generator's forward pass for a round, and the backward pass through it.

#include <algorithm>
#include <numeric>
#include <utility>

#include "common/base/random.h"
#include "common/tensor/flat_parameters.h"
#include "common/tensor/tensor_blob.h"
#include "common/train/generator/generator_trainer_impl.h"

namespace mdgan {
namespace {

// A class with the probability that it has among the counted images.
std::int64_t draw_class(const ClassCounts& counts, Random& random) {
  std::uint64_t left = random.below(
      std::accumulate(counts.begin(), counts.end(), std::uint64_t{0}));
  std::size_t y = 0;
  while (left >= counts[y]) left -= counts[y++];
  return static_cast<std::int64_t>(y);
}

}  // namespace

void GeneratorTrainer::Impl::draw_inputs(Round round, ForwardPass& to) const {
  if (!to.latents.defined()) {
    to.latents = {{rows(), spec.latent}, torch::kFloat32, device};
    if (conditional()) to.labels = {{rows()}, torch::kInt64, device};
  }
  for (std::uint32_t j = 0; j < spec.k; ++j) {
    const std::uint32_t stream = spec.first_batch + j;
    Random(spec.seed, Purpose::kLatents, stream, round.value)
        .fill_normal(floats_of(batch_of(to.latents.host(), j)));
    if (!conditional()) continue;
    Random random(spec.seed, Purpose::kLabels, stream, round.value);
    torch::Tensor y = batch_of(to.labels.host(), j);
    const ClassCounts* counts =
        to.label_counts.empty() ? nullptr : &to.label_counts[j];
    for (std::int64_t i = 0; i < y.numel(); ++i)
      y.data_ptr<std::int64_t>()[i] =
          counts != nullptr
              ? draw_class(*counts, random)
              : static_cast<std::int64_t>(random.below(spec.image.classes));
  }
}

const GeneratorTrainer::Impl::ForwardPass& GeneratorTrainer::Impl::forward(
    Round round, std::span<const ClassCounts> labels) {
  const auto again = open.find(round);
  // The old graph is freed first. The latents are this round's own: on the CPU
  // the graph of an open round has kept the tensor itself.
  if (again != open.end()) close_one(again);
  ForwardPass passed = std::exchange(spare, {});
  passed.label_counts.assign(labels.begin(), labels.end());
  draw_inputs(round, passed);
  if (open.empty()) {
    pass_forward(passed);
  } else {
    // An older round will be stepped before, and this one passed anew then: it
    // keeps no graph until it is its turn.
    const torch::NoGradGuard no_graph;
    pass_forward(passed);
    passed.updates = updates - 1;
  }
  return open.insert_or_assign(round, std::move(passed)).first->second;
}

void GeneratorTrainer::Impl::pass_forward(ForwardPass& passed) {
  passed.updates = updates;
  model->train();  // after sample()
  // The running statistics advance with step(), like everything else: a round
  // generated twice, or saved between generate() and step(), counts once.
  const auto live = model->buffers();
  const auto before = copies_of(live);
  const torch::Tensor z = passed.latents.upload();
  const torch::Tensor y =
      passed.labels.defined() ? passed.labels.upload() : torch::Tensor{};
  if (stack) {
    passed.input = model->embed(z, y);
    passed.images = forward_dense(passed);
  } else {
    passed.images = model->forward(z, y);
    passed.buffers = copies_of(live);
    assign(live, before);
  }
}

torch::Tensor GeneratorTrainer::Impl::forward_dense(ForwardPass& passed) {
  const auto n = static_cast<std::size_t>(rows());
  DenseScratch& scratch = passed.scratch;
  stack->prepare(scratch, n);
  std::copy_n(passed.input.data_ptr<float>(), passed.input.numel(),
              scratch.input(0));
  stack->forward(values.data_ptr<float>(), scratch, 0, n);
  return torch::tanh(torch::from_blob(scratch.output(0), merged.sizes()));
}

std::vector<torch::Tensor> GeneratorTrainer::Impl::backward(
    ForwardPass& passed) {
  if (stack) return backward_dense(passed);
  return gradients_of(passed.images, merged, model->parameters());
}

std::vector<torch::Tensor> GeneratorTrainer::Impl::backward_dense(
    ForwardPass& passed) {
  const auto n = static_cast<std::size_t>(rows());
  DenseScratch& scratch = passed.scratch;
  torch::Tensor last =
      torch::from_blob(scratch.output_gradient(0), merged.sizes());
  last.copy_(torch::tanh_backward(merged, passed.images));
  const bool embeds = passed.input.requires_grad();
  stack->backward(values.data_ptr<float>(), scratch, 0, n, 0, embeds);
  stack->parameter_gradient(scratch, n, n, stack_gradients.data_ptr<float>());
  std::vector<torch::Tensor> gradients;
  if (embeds) {
    std::vector<torch::Tensor> rest = model->parameters();
    rest.erase(rest.begin(),
               rest.begin() + static_cast<std::ptrdiff_t>(
                                  2 * (model->dense_widths().size() - 1)));
    gradients = gradients_of(
        passed.input,
        torch::from_blob(scratch.input_gradient(0), passed.input.sizes()),
        rest);
  }
  gradients.insert(gradients.begin(), stack_gradients);
  return gradients;
}

void GeneratorTrainer::Impl::close_one(
    std::map<Round, ForwardPass>::iterator at) {
  spare = std::move(at->second);
  open.erase(at);
  // The graph and what it holds are freed at once; the other memory serves a
  // later round.
  spare.images.reset();
  spare.input.reset();
  spare.buffers.clear();
}

void GeneratorTrainer::Impl::close(Round newest) {
  while (!open.empty() && open.begin()->first <= newest)
    close_one(open.begin());
}

}  // namespace mdgan
