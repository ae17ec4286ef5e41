#include "common/train/generator/generator_trainer.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "common/base/random.h"
#include "common/base/time.h"
#include "common/merge/merge.h"
#include "common/models/initialise.h"
#include "common/models/registry.h"
#include "common/tensor/device.h"
#include "common/tensor/flat_parameters.h"
#include "common/tensor/floats.h"
#include "common/tensor/guard.h"
#include "common/tensor/tensor_blob.h"
#include "common/train/generator/generator_trainer_impl.h"
#include "common/train/generator/model_sampler.h"

namespace mdgan {

std::vector<torch::Tensor> copies_of(const std::vector<torch::Tensor>& from) {
  std::vector<torch::Tensor> copies;
  for (const auto& tensor : from) copies.push_back(tensor.clone());
  return copies;
}

void assign(const std::vector<torch::Tensor>& to,
            const std::vector<torch::Tensor>& from) {
  for (std::size_t i = 0; i < to.size(); ++i)
    to[i].variable_data().copy_(from[i]);
}

double norm_of(const std::vector<torch::Tensor>& parts) {
  std::vector<torch::Tensor> norms;
  for (const torch::Tensor& part : parts) norms.push_back(part.norm());
  return torch::stack(norms).norm().item<double>();
}

Error diverged(Round round, std::string_view what) {
  return {fmt::format("round {}: {} is not finite or too large to square, so "
                      "the generator was left as it was; go on from an "
                      "earlier checkpoint with a lower learning rate",
                      round.value, what),
          ExitCode::kDiverged};
}

GeneratorTrainer::Impl::Impl(const GeneratorSpec& the_spec, torch::Device where,
                             std::shared_ptr<Generator> generator,
                             std::shared_ptr<Generator> moving_average)
    : spec(the_spec),
      device(where),
      model(std::move(generator)),
      average(std::move(moving_average)),
      values(flatten_parameters(*model)),
      adam(spec.adam, values) {
  if (device.is_cpu() && !model->dense_widths().empty())
    stack.emplace(model->dense_widths(), /*linear_end=*/true);
  if (stack)
    stack_gradients =
        torch::empty(static_cast<std::int64_t>(stack->parameter_count()));
  Random random(spec.seed, Purpose::kGeneratorInit);
  initialise(*model, random);
  if (average != nullptr) {
    average_values = flatten_parameters(*average);
    average_values.copy_(values);
    assign(average->buffers(), model->buffers());
    average->eval();
  }
  merged = torch::empty(
      {rows(), spec.image.channels, spec.image.height, spec.image.width},
      torch::TensorOptions(device));
}

void GeneratorTrainer::Impl::merge(const ForwardPass& passed,
                                   std::span<const Contribution> contributions,
                                   StepReport& report) {
  std::vector<MergeRow> rows_to_merge;
  rows_to_merge.reserve(contributions.size());
  for (const Contribution& part : contributions)
    rows_to_merge.push_back({.peer = part.peer,
                             .group = part.batch,
                             .values = part.feedback,
                             .scales = part.scales,
                             .logits = floats_of(part.logits),
                             .shard_size = part.shard_size});
  // The sums are made on the CPU, whose bits are the same everywhere.
  torch::Tensor sum = merged.is_cpu() ? merged : torch::empty(merged.sizes());
  std::vector<std::span<float>> sums;
  for (std::uint32_t j = 0; j < spec.k; ++j)
    sums.push_back(floats_of(batch_of(sum, j)));
  const MergeReport merged_by = mdgan::merge(
      spec.aggregation.rule, spec.aggregation.parameters, rows_to_merge, sums);
  report.fallbacks = merged_by.fallbacks;
  for (const PeerVerdict& verdict : merged_by.verdicts)
    report.not_whole += verdict.verdict == Verdict::kUsed ? 0U : 1U;
  if (!passed.label_counts.empty()) weigh_classes(passed, contributions, sum);
  sum.div_(static_cast<double>(contributions.size()));
  // The norm is float32 on purpose: a feedback whose norm overflows would
  // overflow Adam's second moment, too, and stop its parameters for good.
  report.feedback_norm = sum.norm().item<double>();
  if (!merged.is_cpu()) merged.copy_(sum);
}

void GeneratorTrainer::Impl::weigh_classes(
    const ForwardPass& passed, std::span<const Contribution> contributions,
    torch::Tensor& sum) const {
  std::vector<AnsweredBatch> answered;
  for (const ClassCounts& counts : passed.label_counts)
    answered.push_back({counts});
  for (const Contribution& part : contributions) {
    ++answered[part.batch].answers;
    answered[part.batch].images += std::max(part.shard_size, 1.0);
  }
  const auto factors = class_factors(answered, spec.class_share);
  const auto* labels = passed.labels.host().data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < rows(); ++i)
    sum[i].mul_(factors[static_cast<std::size_t>(i / spec.batch)]
                       [static_cast<std::size_t>(labels[i])]);
}

Result<GeneratorTrainer::Impl::Gradient> GeneratorTrainer::Impl::gradient(
    Round round, std::span<const Contribution> contributions,
    StepReport& report) {
  const auto opened = open.find(round);
  MDGAN_CHECK(opened != open.end());
  MDGAN_CHECK(!contributions.empty());
  const auto start = Clock::now();
  merge(opened->second, contributions, report);
  if (!std::isfinite(report.feedback_norm)) {
    close(round);
    return diverged(round, "the feedback");
  }
  report.merge_seconds = seconds(Clock::now() - start);

  // The weights have moved since the images were made: F is taken for the
  // feedback on the images that the same latents give now.
  if (opened->second.updates != updates) pass_forward(opened->second);
  Gradient result{backward(opened->second), opened->second.buffers};
  close(round);
  // A GPU is waited for here: what diverged must not reach the weights.
  if (!std::isfinite(norm_of(result.parts)))
    return diverged(round, "the generator's gradient");
  return result;
}

void GeneratorTrainer::Impl::apply(const Gradient& gradient) {
  ++updates;
  if (average == nullptr) {
    adam.step(values, gradient.parts);
  } else {
    adam.step(values, gradient.parts, average_values, spec.ema);
    assign(average->buffers(), gradient.buffers);
  }
  assign(model->buffers(), gradient.buffers);
}

Result<StepReport> GeneratorTrainer::Impl::step(
    Round round, std::span<const Contribution> contributions) {
  StepReport report;
  const auto start = Clock::now();
  const auto back = gradient(round, contributions, report);
  if (!back) return back.error();
  apply(*back);
  report.step_seconds = seconds(Clock::now() - start) - report.merge_seconds;
  return report;
}

GeneratorTrainer::GeneratorTrainer(std::unique_ptr<Impl> impl)
    : impl_(std::move(impl)) {}
GeneratorTrainer::~GeneratorTrainer() = default;

Result<std::unique_ptr<GeneratorTrainer>> GeneratorTrainer::create(
    const GeneratorSpec& spec, const std::string& device) {
  using Made = Result<std::unique_ptr<GeneratorTrainer>>;
  if (spec.batch == 0 || spec.k == 0)
    return Error{"the batch size and k must be at least 1",
                 ExitCode::kConfiguration};
  const auto where = parse_device(device);
  if (!where) return where.error();
  return guarded(
      "cannot make the generator", ExitCode::kConfiguration, [&]() -> Made {
        std::shared_ptr<Generator> models[2];
        for (int i = 0; i < (spec.ema > 0 ? 2 : 1); ++i) {
          auto made = make_generator(spec.model, spec.image, spec.condition,
                                     spec.latent);
          if (!made) return made.error();
          (*made)->to(*where);
          models[i] = std::move(*made);
        }
        auto impl = std::make_unique<Impl>(spec, *where, std::move(models[0]),
                                           std::move(models[1]));
        return std::unique_ptr<GeneratorTrainer>(
            new GeneratorTrainer(std::move(impl)));
      });
}

std::vector<GeneratedBatch> GeneratorTrainer::generate(
    Round round, std::span<const ClassCounts> labels) {
  MDGAN_CHECK(labels.empty() ||
              (impl_->conditional() && labels.size() == impl_->spec.k));
  return plain_exceptions([&] {
    Impl& g = *impl_;
    const Impl::ForwardPass& passed = g.forward(round, labels);
    // On the CPU the batches are views of the images themselves.
    const torch::Tensor images = to_tensor(to_blob(passed.images));
    torch::Tensor drawn;
    // The labels are copied: they may still be on their way when the next round
    // draws its own.
    if (g.conditional()) drawn = passed.labels.host().to(torch::kInt32);
    std::vector<GeneratedBatch> batches(g.spec.k);
    for (std::uint32_t j = 0; j < g.spec.k; ++j) {
      batches[j].images = to_blob(g.batch_of(images, j));
      if (g.conditional()) batches[j].labels = to_blob(g.batch_of(drawn, j));
    }
    return batches;
  });
}

Result<StepReport> GeneratorTrainer::step(
    Round round, std::span<const Contribution> contributions) {
  return guarded("cannot step the generator", ExitCode::kBug,
                 [&] { return impl_->step(round, contributions); });
}

Blob GeneratorTrainer::sample(std::uint32_t count,
                              std::span<const std::int32_t> classes,
                              std::uint64_t seed) const {
  const Impl& g = *impl_;
  return ModelSampler(g.spec, g.sampled()).sample(count, classes, seed);
}

std::unique_ptr<Sampler> GeneratorTrainer::sampler(
    std::unique_ptr<Sampler> reused) const {
  return plain_exceptions([&]() -> std::unique_ptr<Sampler> {
    const Impl& g = *impl_;
    // `reused` is one that this function made.
    std::unique_ptr<ModelSampler> copy(
        static_cast<ModelSampler*>(reused.release()));
    if (copy == nullptr) {
      auto made = make_generator(g.spec.model, g.spec.image, g.spec.condition,
                                 g.spec.latent);
      MDGAN_CHECK(made.ok());  // like the one there is
      (*made)->to(g.device);
      copy = std::make_unique<ModelSampler>(g.spec, std::move(*made));
    }
    copy->copy(*g.sampled());
    return copy;
  });
}

std::uint64_t GeneratorTrainer::parameter_count() const {
  return static_cast<std::uint64_t>(impl_->values.numel());
}

}  // namespace mdgan
