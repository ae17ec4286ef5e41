#include "peer/train/discriminator_trainer.h"

#include <spdlog/fmt/fmt.h>
#include <torch/torch.h>

#include <cmath>
#include <limits>
#include <span>
#include <utility>

#include "common/base/random.h"
#include "common/files/hash.h"
#include "common/losses/adversarial.h"
#include "common/models/initialise.h"
#include "common/models/registry.h"
#include "common/tensor/device.h"
#include "common/tensor/flat_adam.h"
#include "common/tensor/flat_parameters.h"
#include "common/tensor/guard.h"
#include "common/tensor/tensor_blob.h"

namespace mdgan {
namespace {

Sha256 schema_of(const Discriminator& model) {
  const std::string text = discriminator_schema_text(model);
  return sha256(std::as_bytes(std::span(text)));
}

// The half of `both` that holds the real samples (0) or the generated (1).
torch::Tensor half(const torch::Tensor& both, std::int64_t which) {
  if (!both.defined()) return both;
  const std::int64_t n = both.size(0) / 2;
  return both.narrow(0, which * n, n);
}

Error data_error(std::string message) {
  return {std::move(message), ExitCode::kData};
}

Result<void> check_data(const DiscriminatorSpec& spec, const Dataset& data,
                        std::size_t shard_size) {
  const ImageShape &want = spec.image, &have = data.shape;
  if (want.channels != have.channels || want.height != have.height ||
      want.width != have.width)
    return data_error(fmt::format(
        "the run trains on images of {}x{}x{} (channels x height x width) and "
        "this peer's data set has {}x{}x{}: give the peer the run's kind of "
        "data",
        want.channels, want.height, want.width, have.channels, have.height,
        have.width));
  if (shard_size < spec.batch)
    return data_error(fmt::format(
        "this peer's shard has {} images, fewer than one batch of {}: give it "
        "more data, or use a smaller batch",
        shard_size, spec.batch));
  if (spec.condition == Condition::kNone) return {};
  if (data.labels.size() != data.size())
    return data_error(
        fmt::format("the run's model is conditional ('{}') and this peer's "
                    "data set has no labels: use labelled data",
                    name_of(kConditionNames, spec.condition)));
  if (have.classes > want.classes)
    return data_error(
        fmt::format("the run has {} classes and this peer's data set {}: give "
                    "the peer the run's kind of data",
                    want.classes, have.classes));
  return {};
}

Error wrong_state(std::string_view what, std::string_view problem) {
  return {
      fmt::format("the discriminator's {} {}; it was refused", what, problem),
      ExitCode::kCheckpoint};
}

Result<void> check_values(std::string_view what, const Blob& blob,
                          std::uint64_t parameters) {
  const auto& [dtype, dims] = blob.meta;
  if (dtype != protocol::DType::kFloat32 || dims.size() != 1 ||
      dims[0] != parameters || blob.bytes.size() != parameters * sizeof(float))
    return wrong_state(
        what,
        fmt::format("are {} bytes of shape [{}], and should be "
                    "{} float32 values",
                    blob.bytes.size(), fmt::join(dims, ", "), parameters));
  if (!is_finite(blob)) return wrong_state(what, "hold NaN or infinity");
  return {};
}

// The square root of a negative second moment would poison the weights.
bool has_negative(const Blob& blob) {
  return to_tensor(blob).min().item<float>() < 0;
}

}  // namespace

struct DiscriminatorTrainer::Impl {
  Impl(const DiscriminatorSpec& the_spec,
       std::shared_ptr<const Dataset> dataset,
       std::vector<std::uint32_t> indices, PeerId id, torch::Device where,
       std::shared_ptr<Discriminator> discriminator);

  void draw_real(Round round);
  void put_generated(const Blob& generated, const Blob& generated_labels);
  torch::Tensor train_step(const torch::Tensor& x, const torch::Tensor& y,
                           Random& random);
  torch::Tensor joint_loss(const torch::Tensor& x, const torch::Tensor& y);
  torch::Tensor separate_loss(const torch::Tensor& x, const torch::Tensor& y,
                              Random& random);
  torch::Tensor class_losses(const torch::Tensor& real_logits,
                             const torch::Tensor& generated_logits,
                             const torch::Tensor& y) const;
  bool acgan() const { return spec.condition == Condition::kAcgan; }

  const DiscriminatorSpec spec;
  const std::shared_ptr<const Dataset> data;  // shared by the process's peers
  const std::vector<std::uint32_t> shard;
  const PeerId peer;
  const torch::Device device;
  const std::shared_ptr<Discriminator> model;
  torch::Tensor values, gradients;  // [P], what the model's parameters view
  const std::uint64_t parameters;
  FlatAdam adam;
  // A penalty differentiates by one half's images; a model that mixes samples
  // must not mix the halves.
  const bool separate;
  const Sha256 schema;
  // One round's input, real samples before generated ones, reused every round.
  torch::Tensor images;  // [2b, c, h, w] float32, on the CPU
  torch::Tensor labels;  // [2b] int64, on the CPU; undefined if unconditional
};

DiscriminatorTrainer::Impl::Impl(const DiscriminatorSpec& the_spec,
                                 std::shared_ptr<const Dataset> dataset,
                                 std::vector<std::uint32_t> indices, PeerId id,
                                 torch::Device where,
                                 std::shared_ptr<Discriminator> discriminator)
    : spec(the_spec),
      data(std::move(dataset)),
      shard(std::move(indices)),
      peer(id),
      device(where),
      model(std::move(discriminator)),
      values(flatten_parameters(*model)),
      gradients(flatten_gradients(*model)),
      parameters(static_cast<std::uint64_t>(values.numel())),
      adam(spec.adam, values),
      separate(model->mixes_samples() || spec.r1_gamma > 0 ||
               spec.r2_gamma > 0 || spec.loss == Loss::kWassersteinGp),
      schema(schema_of(*model)) {
  const auto pinned = torch::TensorOptions().pinned_memory(device.is_cuda());
  images = torch::empty({2 * std::int64_t{spec.batch}, spec.image.channels,
                         spec.image.height, spec.image.width},
                        pinned.dtype(torch::kFloat32));
  if (spec.condition != Condition::kNone)
    labels = torch::empty({2 * std::int64_t{spec.batch}},
                          pinned.dtype(torch::kInt64));
}

void DiscriminatorTrainer::Impl::draw_real(Round round) {
  Random random(spec.seed, Purpose::kRealSamples, peer.value, round.value);
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

void DiscriminatorTrainer::Impl::put_generated(const Blob& generated,
                                               const Blob& generated_labels) {
  half(images, 1).copy_(to_tensor(generated));
  if (labels.defined()) half(labels, 1).copy_(to_tensor(generated_labels));
}

torch::Tensor DiscriminatorTrainer::Impl::class_losses(
    const torch::Tensor& real_logits, const torch::Tensor& generated_logits,
    const torch::Tensor& y) const {
  return class_loss(real_logits, half(y, 0)) +
         class_loss(generated_logits, half(y, 1));
}

torch::Tensor DiscriminatorTrainer::Impl::joint_loss(const torch::Tensor& x,
                                                     const torch::Tensor& y) {
  const auto [logits, class_logits] = model->forward(x, y);
  torch::Tensor loss =
      discriminator_loss(spec.loss, half(logits, 0), half(logits, 1));
  if (acgan())
    loss = loss + class_losses(half(class_logits, 0), half(class_logits, 1), y);
  return loss;
}

torch::Tensor DiscriminatorTrainer::Impl::separate_loss(const torch::Tensor& x,
                                                        const torch::Tensor& y,
                                                        Random& random) {
  const torch::Tensor real =
      half(x, 0).detach().requires_grad_(spec.r1_gamma > 0);
  const torch::Tensor generated =
      half(x, 1).detach().requires_grad_(spec.r2_gamma > 0);
  const DiscriminatorOutput on_real = model->forward(real, half(y, 0));
  const DiscriminatorOutput on_generated =
      model->forward(generated, half(y, 1));
  torch::Tensor loss =
      discriminator_loss(spec.loss, on_real.logits, on_generated.logits);
  if (acgan())
    loss =
        loss + class_losses(on_real.class_logits, on_generated.class_logits, y);
  if (spec.r1_gamma > 0)
    loss = loss + zero_centred_penalty(on_real.logits, real, spec.r1_gamma);
  if (spec.r2_gamma > 0)
    loss = loss +
           zero_centred_penalty(on_generated.logits, generated, spec.r2_gamma);
  if (spec.loss == Loss::kWassersteinGp) {
    // With projection, the critic between two images is the real one's class's.
    const Critic critic = [&](const torch::Tensor& between) {
      return model->forward(between, half(y, 0)).logits;
    };
    loss = loss + wasserstein_penalty(critic, real, generated,
                                      spec.gradient_penalty, random);
  }
  return loss;
}

torch::Tensor DiscriminatorTrainer::Impl::train_step(const torch::Tensor& x,
                                                     const torch::Tensor& y,
                                                     Random& random) {
  const torch::Tensor loss =
      separate ? separate_loss(x, y, random) : joint_loss(x, y);
  gradients.zero_();
  loss.backward();
  adam.step(values, gradients);
  return loss.detach();
}

DiscriminatorTrainer::DiscriminatorTrainer(std::unique_ptr<Impl> impl)
    : impl_(std::move(impl)) {}
DiscriminatorTrainer::~DiscriminatorTrainer() = default;

Result<std::unique_ptr<DiscriminatorTrainer>> DiscriminatorTrainer::create(
    const DiscriminatorSpec& spec, std::shared_ptr<const Dataset> data,
    std::vector<std::uint32_t> shard, PeerId peer, const std::string& device) {
  using Made = Result<std::unique_ptr<DiscriminatorTrainer>>;
  if (spec.batch == 0 || spec.local_steps == 0)
    return Error{"the batch size and the local steps must be at least 1",
                 ExitCode::kConfiguration};
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
    Random random(impl_->spec.seed, Purpose::kDiscriminatorInit,
                  impl_->peer.value);
    mdgan::initialise(*impl_->model, random);
    impl_->adam.reset();
  });
}

double DiscriminatorTrainer::learn(Round round, const Blob& images,
                                   const Blob& labels) {
  return plain_exceptions([&] {
    Impl& d = *impl_;
    d.draw_real(round);
    d.put_generated(images, labels);
    // On the CPU these are the buffers themselves.
    const auto x = d.images.to(d.device, /*non_blocking=*/true);
    const auto y = d.labels.defined() ? d.labels.to(d.device, true) : d.labels;
    Random random(d.spec.seed, Purpose::kPenalty, d.peer.value, round.value);
    torch::Tensor sum = d.train_step(x, y, random);
    for (std::uint32_t step = 1; step < d.spec.local_steps; ++step)
      sum = sum + d.train_step(x, y, random);
    return sum.item<double>() / d.spec.local_steps;
  });
}

PeerFeedback DiscriminatorTrainer::feedback(const Blob& images,
                                            const Blob& labels) {
  return plain_exceptions([&] {
    const Impl& d = *impl_;
    const auto x = to_tensor(images).to(d.device).detach().requires_grad_(true);
    torch::Tensor y;
    if (d.spec.condition != Condition::kNone)
      y = to_tensor(labels).to(d.device, torch::kInt64);
    const auto [logits, class_logits] = d.model->forward(x, y);
    torch::Tensor loss = generator_loss(d.spec.loss, logits);
    if (d.acgan()) loss = loss + class_loss(class_logits, y);
    // Not backward(): D's own gradients stay as they are, and are not computed.
    const auto gradient = torch::autograd::grad({loss}, {x}).front();
    return PeerFeedback{to_blob(gradient), to_blob(logits),
                        loss.item<double>()};
  });
}

DiscriminatorState DiscriminatorTrainer::snapshot(bool with_optimizer) const {
  return plain_exceptions([&] {
    const Impl& d = *impl_;
    // to_blob copies from a device, but shares CPU memory.
    const auto copy = [](const torch::Tensor& tensor) {
      return to_blob(tensor.is_cpu() ? tensor.clone() : tensor);
    };
    DiscriminatorState state;
    state.parameters = copy(d.values);
    if (!with_optimizer) return state;
    state.first_moment = copy(d.adam.first_moment());
    state.second_moment = copy(d.adam.second_moment());
    state.adam_steps = d.adam.steps();
    return state;
  });
}

Result<void> DiscriminatorTrainer::validate(
    const DiscriminatorState& state) const {
  const std::uint64_t size = impl_->parameters;
  if (auto fits = check_values("parameters", state.parameters, size); !fits)
    return fits;
  if (state.first_moment.empty() && state.second_moment.empty()) return {};
  if (auto fits = check_values("first moments", state.first_moment, size);
      !fits)
    return fits;
  if (auto fits = check_values("second moments", state.second_moment, size);
      !fits)
    return fits;
  if (has_negative(state.second_moment))
    return wrong_state("second moments", "hold a negative value");
  if (state.adam_steps > std::numeric_limits<std::uint64_t>::max() / 2)
    return wrong_state("optimiser steps", "are beyond any run's length");
  return {};
}

Result<void> DiscriminatorTrainer::load(const DiscriminatorState& state) {
  if (auto fits = validate(state); !fits) return fits;
  return guarded("cannot load the discriminator", ExitCode::kCheckpoint,
                 [&]() -> Result<void> {
                   impl_->values.copy_(to_tensor(state.parameters));
                   if (!state.first_moment.empty())
                     impl_->adam.restore(to_tensor(state.first_moment),
                                         to_tensor(state.second_moment),
                                         state.adam_steps);
                   return {};
                 });
}

std::uint64_t DiscriminatorTrainer::parameter_count() const {
  return impl_->parameters;
}

const std::array<std::byte, 32>& DiscriminatorTrainer::schema() const {
  return impl_->schema;
}

}  // namespace mdgan
