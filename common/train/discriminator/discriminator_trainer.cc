#include "common/train/discriminator/discriminator_trainer.h"

#include <torch/torch.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "common/augment/adaptive_probability.h"
#include "common/augment/diff_augment.h"
#include "common/base/random.h"
#include "common/files/hash.h"
#include "common/models/model_summary.h"
#include "common/models/registry.h"
#include "common/tensor/device.h"
#include "common/tensor/floats.h"
#include "common/tensor/guard.h"
#include "common/tensor/tensor_blob.h"
#include "common/train/discriminator/discriminator_step.h"
#include "common/train/discriminator/private_learner.h"
#include "common/train/discriminator/replay_history.h"
#include "common/train/discriminator/step_inputs.h"
#include "common/train/discriminator/trained_discriminator.h"
#include "common/train/discriminator/training_inputs.h"
#include "protocol/training_rules.h"

namespace mdgan {
namespace {

Sha256 schema_of(const Discriminator& model) {
  const std::string text = schema_text(model.named_parameters());
  return sha256(std::as_bytes(std::span(text)));
}

// Nothing if it is not whole.
std::optional<AdaptiveProbability> probability_in(const Blob& saved) {
  AdaptiveProbability::State state;
  if (saved.meta !=
          protocol::TensorMeta{protocol::DType::kInt32, {state.size()}} ||
      saved.bytes.size() != sizeof state)
    return std::nullopt;
  std::memcpy(state.data(), saved.bytes.data(), sizeof state);
  return AdaptiveProbability::load(state);
}

}  // namespace

struct DiscriminatorTrainer::Impl {
  Impl(const TrainingSpec& spec, std::shared_ptr<const Dataset> data,
       std::vector<std::uint32_t> shard, PeerId id, torch::Device device,
       std::shared_ptr<Discriminator> model);

  // With which probability each change of an image happens in this round.
  double probability() const;
  void learn_privately(Round round, const GeneratedBatch& given,
                       Random& changes);

  TrainedDiscriminator d;
  StepInputs inputs;
  const PeerId peer;
  const std::uint64_t parameters;
  const Sha256 schema;
  std::unique_ptr<DiscriminatorStep> step;
  ReplayHistory history;
  Round learned;                 // last
  DiscriminatorReports reports;  // of learn()
  AdaptiveProbability adaptive;
  bool unobserved = false;  // whether it is to see these reports yet
  std::unique_ptr<PrivateLearner> privacy;  // none: without it
};

DiscriminatorTrainer::Impl::Impl(const TrainingSpec& spec,
                                 std::shared_ptr<const Dataset> data,
                                 std::vector<std::uint32_t> shard, PeerId id,
                                 torch::Device device,
                                 std::shared_ptr<Discriminator> model)
    : d(spec, std::move(model)),
      inputs(d.spec, std::move(data), std::move(shard), id, device),
      peer(id),
      parameters(static_cast<std::uint64_t>(d.size())),
      schema(schema_of(d.model())),
      step(make_dense_step(d)),
      history(d.spec) {
  if (step == nullptr) step = make_autograd_step(d);
}

double DiscriminatorTrainer::Impl::probability() const {
  switch (d.spec.augment) {
    case Augment::kNone:
      return 0;
    case Augment::kDiffAugment:
      return 1;
    case Augment::kAda:
      return adaptive.value();
  }
  MDGAN_CHECK(!"a known augmentation");
}

void DiscriminatorTrainer::Impl::learn_privately(Round round,
                                                 const GeneratedBatch& given,
                                                 Random& changes) {
  if (history.is_kept()) history.add(round, given);
  for (std::uint32_t i = 0; i < d.spec.local_steps; ++i) {
    const auto [x, y] = inputs.generated_alone(
        changes, history.is_kept() ? history.of_step(i) : given, probability());
    DiscriminatorReport report;
    report.loss = privacy->step(x, y);
    reports.add(report);
  }
}

DiscriminatorTrainer::DiscriminatorTrainer(std::unique_ptr<Impl> impl)
    : impl_(std::move(impl)) {}
DiscriminatorTrainer::~DiscriminatorTrainer() = default;

Result<std::unique_ptr<DiscriminatorTrainer>> DiscriminatorTrainer::create(
    const TrainingSpec& spec, std::shared_ptr<const Dataset> data,
    std::vector<std::uint32_t> shard, PeerId peer, const std::string& device,
    const LedgerBook* privacy) {
  using Made = Result<std::unique_ptr<DiscriminatorTrainer>>;
  if (spec.batch == 0 || spec.local_steps == 0)
    return Error{"the batch size and the local steps must be at least 1",
                 ExitCode::kConfiguration};
  if (auto fits = check_history(spec); !fits) return fits.error();
  if (const std::string conflict = conflict_of(spec); !conflict.empty())
    return Error{conflict, ExitCode::kConfiguration};
  const auto where = parse_device(device);
  if (!where) return where.error();
  if (auto fits = check_data(spec, *data, shard.size()); !fits)
    return fits.error();
  for (const std::uint32_t index : shard) MDGAN_CHECK(index < data->size());
  return guarded(
      "cannot make the discriminator", ExitCode::kConfiguration, [&]() -> Made {
        auto model = make_discriminator(spec.model, spec.image, spec.condition);
        if (!model) return model.error();
        (*model)->to(*where);
        auto impl =
            std::make_unique<Impl>(spec, std::move(data), std::move(shard),
                                   peer, *where, std::move(*model));
        if (privacy != nullptr) {
          const StepInputs& inputs = impl->inputs;
          auto learner = PrivateLearner::create(impl->d, *privacy, *inputs.data,
                                                inputs.shard, inputs.run_label);
          if (!learner) return learner.error();
          impl->privacy = std::move(*learner);
        }
        return std::unique_ptr<DiscriminatorTrainer>(
            new DiscriminatorTrainer(std::move(impl)));
      });
}

void DiscriminatorTrainer::initialise() {
  plain_exceptions([&] {
    TrainedDiscriminator& d = impl_->d;
    Random random(d.spec.seed, Purpose::kDiscriminatorInit, impl_->peer.value);
    d.initialise(random);
    impl_->history.clear();
    impl_->adaptive = {};
  });
}

void DiscriminatorTrainer::learn(Round round, const Blob& images,
                                 const Blob& labels) {
  plain_exceptions([&] {
    Impl& impl = *impl_;
    const TrainingSpec& spec = impl.d.spec;
    check_batch(spec, images, labels);
    Random penalty = impl.inputs.random(Purpose::kPenalty, round);
    Random real = impl.inputs.random(Purpose::kRealSamples, round);
    Random changes = impl.inputs.random(Purpose::kAugmentation, round);
    const double p = impl.probability();
    impl.learned = round;
    impl.reports = {};
    impl.unobserved = true;
    if (impl.privacy) {
      impl.learn_privately(round, {images, labels}, changes);
      return;
    }
    if (impl.history.is_kept()) {
      impl.history.add(round, {images, labels});
      for (std::uint32_t step = 0; step < spec.local_steps; ++step) {
        const auto [x, y] =
            impl.inputs.of_step(real, changes, impl.history.of_step(step), p);
        impl.reports.add(impl.step->step(x, y, penalty));
      }
    } else if (p > 0) {
      for (std::uint32_t step = 0; step < spec.local_steps; ++step) {
        // The same images, changed anew.
        real = impl.inputs.random(Purpose::kRealSamples, round);
        const auto [x, y] =
            impl.inputs.of_step(real, changes, {images, labels}, p);
        impl.reports.add(impl.step->step(x, y, penalty));
      }
    } else {
      const auto [x, y] =
          impl.inputs.of_step(real, changes, {images, labels}, p);
      for (std::uint32_t step = 0; step < spec.local_steps; ++step)
        impl.reports.add(impl.step->step(x, y, penalty));
    }
  });
}

double DiscriminatorTrainer::gradient(Round round, const Blob& images,
                                      const Blob& labels,
                                      std::span<float> out) {
  return plain_exceptions([&] {
    Impl& impl = *impl_;
    check_batch(impl.d.spec, images, labels);
    MDGAN_CHECK(!impl.privacy);  // there is no noise in this
    Random real = impl.inputs.random(Purpose::kRealSamples, round);
    Random changes = impl.inputs.random(Purpose::kAugmentation, round);
    Random penalty = impl.inputs.random(Purpose::kPenalty, round);
    impl.learned = round;
    const auto [x, y] = impl.inputs.of_step(real, changes, {images, labels},
                                            impl.probability());
    return impl.d.gradient(
        x, y, penalty,
        torch::from_blob(out.data(), {static_cast<std::int64_t>(out.size())}));
  });
}

PeerFeedback DiscriminatorTrainer::feedback(const Blob& images,
                                            const Blob& labels) {
  return plain_exceptions([&] {
    Impl& impl = *impl_;
    const TrainingSpec& spec = impl.d.spec;
    check_batch(spec, images, labels);
    const auto [seen, changes] = impl.inputs.of_feedback(
        impl.learned, {images, labels}, impl.probability());
    PeerFeedback back = impl.step->feedback(seen.x, seen.y, impl.reports);
    if (!changes.empty()) {  // F = T' grad L(D(T x))
      const torch::Tensor gradient = to_tensor(back.feedback).clone();
      augment_adjoint(changes, spec.image, floats_of(gradient));
      back.feedback = to_blob(gradient);
    }
    if (std::exchange(impl.unobserved, false) && spec.augment == Augment::kAda)
      impl.adaptive.observe(impl.reports.steps,
                            std::uint64_t{impl.reports.steps} * spec.batch,
                            impl.reports.real_signs);
    return back;
  });
}

PeerState DiscriminatorTrainer::snapshot(bool with_optimizer) const {
  return plain_exceptions([&] { return impl_->d.snapshot(with_optimizer); });
}

Result<void> DiscriminatorTrainer::validate(const PeerState& state) const {
  return validate_state(state, impl_->parameters);
}

Result<void> DiscriminatorTrainer::load(const PeerState& state) {
  if (auto fits = validate(state); !fits) return fits;
  return guarded("cannot load the discriminator", ExitCode::kCheckpoint,
                 [&]() -> Result<void> {
                   impl_->d.load(state);
                   return {};
                 });
}

std::vector<NamedBlob> DiscriminatorTrainer::history() const {
  std::vector<NamedBlob> tensors = impl_->history.saved();
  if (impl_->d.spec.augment == Augment::kAda) {
    const AdaptiveProbability::State state = impl_->adaptive.state();
    tensors.push_back({AdaptiveProbability::kSavedAs,
                       copy_blob({protocol::DType::kInt32, {state.size()}},
                                 std::as_bytes(std::span(state)))});
  }
  return tensors;
}

void DiscriminatorTrainer::load_history(const std::vector<NamedBlob>& tensors) {
  impl_->history.load(tensors);
  // It belongs to the images: what says nothing of it leaves it.
  const auto saved = std::ranges::find(tensors, AdaptiveProbability::kSavedAs,
                                       &NamedBlob::name);
  if (saved != tensors.end())
    impl_->adaptive =
        probability_in(saved->blob).value_or(AdaptiveProbability{});
}

std::optional<PrivacySpent> DiscriminatorTrainer::privacy() const {
  if (!impl_->privacy) return std::nullopt;
  return impl_->privacy->spent();
}

ClassCounts DiscriminatorTrainer::class_counts() const {
  const StepInputs& inputs = impl_->inputs;
  ClassCounts counts(impl_->d.spec.image.classes);
  for (const std::uint32_t sample : inputs.shard) {
    const auto label = static_cast<std::size_t>(inputs.data->labels[sample]);
    ++counts[static_cast<std::size_t>(inputs.run_label[label])];
  }
  return counts;
}

std::uint64_t DiscriminatorTrainer::parameter_count() const {
  return impl_->parameters;
}

const std::array<std::byte, 32>& DiscriminatorTrainer::schema() const {
  return impl_->schema;
}

}  // namespace mdgan
