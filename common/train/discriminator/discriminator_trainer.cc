#include "common/train/discriminator/discriminator_trainer.h"

#include <torch/torch.h>

#include <cstring>
#include <span>
#include <utility>

#include "common/base/random.h"
#include "common/files/hash.h"
#include "common/models/model_summary.h"
#include "common/models/registry.h"
#include "common/tensor/device.h"
#include "common/tensor/guard.h"
#include "common/tensor/tensor_blob.h"
#include "common/train/discriminator/discriminator_step.h"
#include "common/train/discriminator/replay_history.h"
#include "common/train/discriminator/trained_discriminator.h"
#include "common/train/discriminator/training_inputs.h"

namespace mdgan {
namespace {

Sha256 schema_of(const Discriminator& model) {
  const std::string text = schema_text(model.named_parameters());
  return sha256(std::as_bytes(std::span(text)));
}

}  // namespace

struct DiscriminatorTrainer::Impl {
  Impl(const TrainingSpec& spec, std::shared_ptr<const Dataset> dataset,
       std::vector<std::uint32_t> indices, PeerId id, torch::Device where,
       std::shared_ptr<Discriminator> model);

  // The random numbers that choose the round's real samples.
  Random real_samples(Round round) const;
  // The inputs of a step: x [2b, c, h, w] and y [2b] or undefined, on the
  // device. Each call overwrites what the last one returned.
  std::pair<torch::Tensor, torch::Tensor> inputs(
      Random& real, const GeneratedBatch& generated);
  void draw_real(Random& random);
  void put_generated(const GeneratedBatch& generated);

  TrainedDiscriminator d;
  const std::shared_ptr<const Dataset> data;  // shared by the process's peers
  const std::vector<std::uint32_t> shard;
  const PeerId peer;
  const torch::Device device;
  const std::uint64_t parameters;
  const Sha256 schema;
  std::unique_ptr<DiscriminatorStep> step;
  ReplayHistory history;
  // The inputs of a step, real samples before generated ones; every step reuses
  // this memory.
  torch::Tensor images;  // [2b, c, h, w] float32, on the CPU
  torch::Tensor labels;  // [2b] int64, on the CPU; undefined if unconditional
};

DiscriminatorTrainer::Impl::Impl(const TrainingSpec& spec,
                                 std::shared_ptr<const Dataset> dataset,
                                 std::vector<std::uint32_t> indices, PeerId id,
                                 torch::Device where,
                                 std::shared_ptr<Discriminator> model)
    : d(spec, std::move(model)),
      data(std::move(dataset)),
      shard(std::move(indices)),
      peer(id),
      device(where),
      parameters(static_cast<std::uint64_t>(d.size())),
      schema(schema_of(d.model())),
      step(make_dense_step(d)),
      history(d.spec) {
  if (step == nullptr) step = make_autograd_step(d);
  const auto pinned = torch::TensorOptions().pinned_memory(device.is_cuda());
  images = torch::empty({2 * std::int64_t{spec.batch}, spec.image.channels,
                         spec.image.height, spec.image.width},
                        pinned.dtype(torch::kFloat32));
  if (spec.condition != Condition::kNone)
    labels = torch::empty({2 * std::int64_t{spec.batch}},
                          pinned.dtype(torch::kInt64));
}

Random DiscriminatorTrainer::Impl::real_samples(Round round) const {
  return {d.spec.seed, Purpose::kRealSamples, peer.value, round.value};
}

void DiscriminatorTrainer::Impl::draw_real(Random& random) {
  const TrainingSpec& spec = d.spec;
  const std::size_t size = spec.image.values();
  auto* out = images.data_ptr<float>();
  auto* label = labels.defined() ? labels.data_ptr<std::int64_t>() : nullptr;
  for (std::uint32_t i = 0; i < spec.batch; ++i) {
    const std::size_t sample = shard[random.below(shard.size())];
    const std::uint8_t* pixels = data->pixels.data() + sample * size;
    for (std::size_t j = 0; j < size; ++j)
      *out++ = static_cast<float>(pixels[j]) / 127.5F - 1.0F;
    if (label != nullptr) *label++ = data->labels[sample];
  }
}

void DiscriminatorTrainer::Impl::put_generated(
    const GeneratedBatch& generated) {
  const std::size_t values = d.spec.batch * d.spec.image.values();
  MDGAN_CHECK(generated.images.bytes.size() == values * sizeof(float));
  std::memcpy(images.data_ptr<float>() + values, generated.images.bytes.data(),
              generated.images.bytes.size());
  if (labels.defined()) half(labels, 1).copy_(to_tensor(generated.labels));
}

std::pair<torch::Tensor, torch::Tensor> DiscriminatorTrainer::Impl::inputs(
    Random& real, const GeneratedBatch& generated) {
  draw_real(real);
  put_generated(generated);
  // On the CPU, to() returns the buffers themselves.
  return {images.to(device, /*non_blocking=*/true),
          labels.defined() ? labels.to(device, true) : labels};
}

DiscriminatorTrainer::DiscriminatorTrainer(std::unique_ptr<Impl> impl)
    : impl_(std::move(impl)) {}
DiscriminatorTrainer::~DiscriminatorTrainer() = default;

Result<std::unique_ptr<DiscriminatorTrainer>> DiscriminatorTrainer::create(
    const TrainingSpec& spec, std::shared_ptr<const Dataset> data,
    std::vector<std::uint32_t> shard, PeerId peer, const std::string& device) {
  using Made = Result<std::unique_ptr<DiscriminatorTrainer>>;
  if (spec.batch == 0 || spec.local_steps == 0)
    return Error{"the batch size and the local steps must be at least 1",
                 ExitCode::kConfiguration};
  if (auto fits = check_history(spec); !fits) return fits.error();
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
  });
}

double DiscriminatorTrainer::learn(Round round, const Blob& images,
                                   const Blob& labels) {
  return plain_exceptions([&] {
    Impl& impl = *impl_;
    const TrainingSpec& spec = impl.d.spec;
    check_batch(spec, images, labels);
    Random penalty(spec.seed, Purpose::kPenalty, impl.peer.value, round.value);
    Random real = impl.real_samples(round);
    double sum = 0;
    if (!impl.history.is_kept()) {
      const auto [x, y] = impl.inputs(real, {images, labels});
      for (std::uint32_t step = 0; step < spec.local_steps; ++step)
        sum += impl.step->step(x, y, penalty);
    } else {
      impl.history.add(round, {images, labels});
      for (std::uint32_t step = 0; step < spec.local_steps; ++step) {
        const auto [x, y] = impl.inputs(real, impl.history.of_step(step));
        sum += impl.step->step(x, y, penalty);
      }
    }
    return sum / spec.local_steps;
  });
}

double DiscriminatorTrainer::gradient(Round round, const Blob& images,
                                      const Blob& labels,
                                      std::span<float> out) {
  return plain_exceptions([&] {
    Impl& impl = *impl_;
    const TrainingSpec& spec = impl.d.spec;
    check_batch(spec, images, labels);
    Random real = impl.real_samples(round);
    const auto [x, y] = impl.inputs(real, {images, labels});
    Random random(spec.seed, Purpose::kPenalty, impl.peer.value, round.value);
    return impl.d.gradient(
        x, y, random,
        torch::from_blob(out.data(), {static_cast<std::int64_t>(out.size())}));
  });
}

PeerFeedback DiscriminatorTrainer::feedback(const Blob& images,
                                            const Blob& labels) {
  return plain_exceptions([&] {
    const Impl& impl = *impl_;
    check_batch(impl.d.spec, images, labels);
    torch::Tensor y;
    if (impl.d.spec.condition != Condition::kNone)
      y = to_tensor(labels).to(impl.device, torch::kInt64);
    return impl.step->feedback(to_tensor(images).to(impl.device), y);
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
  return impl_->history.saved();
}

void DiscriminatorTrainer::load_history(const std::vector<NamedBlob>& tensors) {
  impl_->history.load(tensors);
}

std::uint64_t DiscriminatorTrainer::parameter_count() const {
  return impl_->parameters;
}

const std::array<std::byte, 32>& DiscriminatorTrainer::schema() const {
  return impl_->schema;
}

}  // namespace mdgan
