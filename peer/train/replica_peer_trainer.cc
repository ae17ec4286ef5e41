#include "peer/train/replica_peer_trainer.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "common/models/model_summary.h"
#include "common/tensor/floats.h"

namespace mdgan {
namespace {

constexpr std::string_view kFirst = "adam.first_moment";
constexpr std::string_view kSecond = "adam.second_moment";
constexpr std::string_view kSteps = "adam.steps";

GeneratorSpec generator_of(const TrainingSpec& spec, PeerId peer) {
  return {.model = spec.model,
          .image = spec.image,
          .condition = spec.condition,
          .latent = spec.latent,
          .adam = spec.generator_adam,
          .ema = 0,
          .batch = spec.batch,
          .k = 1,
          .seed = spec.seed,
          .first_batch = peer.value,
          // Nothing is to be weighed: the peers' sizes are, at the server.
          .class_share = ClassShare::kData};
}

struct NewFloats {
  Blob blob;
  std::span<float> values;
};

NewFloats make_floats(std::uint64_t count) {
  const NewBlob made = make_blob({protocol::DType::kFloat32, {count}});
  return {made.blob,
          {reinterpret_cast<float*>(made.bytes.data()), made.bytes.size() / 4}};
}

// Values [first, first + count) as a blob of their own over the same bytes.
Blob part_of(const Blob& blob, std::size_t first, std::size_t count) {
  Blob part = blob;
  part.meta.dims.assign(1, count);
  part.bytes = blob.bytes.subspan(first * sizeof(float), count * sizeof(float));
  return part;
}

// The blob, or an aligned copy: a small tensor that was received may not be
// aligned for floats.
Blob aligned(const Blob& blob) {
  const auto address = reinterpret_cast<std::uintptr_t>(blob.bytes.data());
  return address % alignof(float) == 0 ? blob
                                       : copy_blob(blob.meta, blob.bytes);
}

NamedBlob* find(std::vector<NamedBlob>& state, std::string_view name) {
  const auto it = std::ranges::find(state, name, &NamedBlob::name);
  MDGAN_CHECK(it != state.end());
  return &*it;
}

}  // namespace

MadePeerTrainer prepare_replica(std::unique_ptr<ReplicaPeerTrainer> trainer,
                                PeerTrainerSetting setting) {
  const auto& [spec, data, shard, peer, device, privacy] = setting;
  MDGAN_CHECK(privacy == nullptr);
  const auto summary = summarise_model(spec);
  if (!summary) return summary.error();
  auto g = GeneratorTrainer::create(generator_of(spec, peer), device);
  if (!g) return g.error();
  auto d = DiscriminatorTrainer::create(spec, data, shard, peer, device);
  if (!d) return d.error();
  trainer->spec = spec;
  trainer->peer = peer;
  trainer->g = std::move(*g);
  trainer->d = std::move(*d);
  if (spec.labels == BatchLabels::kShard)
    trainer->label_counts = {trainer->d->class_counts()};
  trainer->device_ = device;
  trainer->parameters_ = summary->parameters;
  trainer->schema_ = summary->schema;
  MDGAN_CHECK(trainer->g->weight_count() + trainer->d->parameter_count() ==
              summary->parameters);
  return std::unique_ptr<PeerTrainer>(std::move(trainer));
}

std::span<float> ReplicaPeerTrainer::generator_part(
    std::span<float> replica) const {
  return replica.first(g->weight_count());
}

std::span<float> ReplicaPeerTrainer::discriminator_part(
    std::span<float> replica) const {
  return replica.subspan(g->weight_count());
}

void ReplicaPeerTrainer::copy_replica(std::span<float> out) const {
  g->copy_weights(generator_part(out));
  const Blob parameters = d->snapshot(false).parameters;
  std::ranges::copy(floats_of(parameters), discriminator_part(out).begin());
}

void ReplicaPeerTrainer::set_replica(const Blob& replica) {
  if (replica.meta !=
      protocol::TensorMeta{protocol::DType::kFloat32, {parameters_}})
    throw std::runtime_error("a replica has another size than this run's");
  const std::size_t split = g->weight_count();
  g->set_weights(floats_of(replica).first(split), 1);
  PeerState state;
  state.parameters = part_of(replica, split, parameters_ - split);
  if (const auto loaded = d->load(state); !loaded)
    throw std::runtime_error(loaded.error().message);
}

void ReplicaPeerTrainer::initialise() {
  auto fresh = GeneratorTrainer::create(generator_of(spec, peer), device_);
  if (!fresh) throw std::runtime_error(fresh.error().message);
  g = std::move(*fresh);
  d->initialise();
}

void ReplicaPeerTrainer::learn(Round round, std::uint32_t steps,
                               const Blob& sent, const Blob& /*labels*/) {
  set_replica(aligned(sent));
  const NewFloats answer = make_floats(parameters_);
  losses_ = train(round, steps, answer.values);
  answer_ = answer.blob;
}

PeerFeedback ReplicaPeerTrainer::feedback(const Blob&, const Blob&) {
  return {
      std::exchange(answer_, {}), {}, losses_.generator, losses_.discriminator};
}

PeerState ReplicaPeerTrainer::snapshot(bool with_optimizer) const {
  PeerState state;
  const NewFloats values = make_floats(parameters_);
  copy_replica(values.values);
  state.parameters = values.blob;
  if (!with_optimizer) return state;
  const PeerState of_d = d->snapshot(true);
  std::vector<NamedBlob> of_g = g->snapshot();
  const auto joined = [&](std::string_view name, const Blob& rest) {
    const NewFloats moments = make_floats(parameters_);
    std::ranges::fill(moments.values, 0.0F);  // of G's buffers, too
    std::ranges::copy(floats_of(find(of_g, name)->blob),
                      moments.values.begin());
    std::ranges::copy(floats_of(rest),
                      discriminator_part(moments.values).begin());
    return moments.blob;
  };
  state.first_moment = joined(kFirst, of_d.first_moment);
  state.second_moment = joined(kSecond, of_d.second_moment);
  std::int64_t steps = 0;
  std::memcpy(&steps, find(of_g, kSteps)->blob.bytes.data(), sizeof steps);
  state.adam_steps = static_cast<std::uint64_t>(steps);
  return state;
}

Result<void> ReplicaPeerTrainer::validate(const PeerState& state) const {
  // D has taken L steps for each of G's.
  return validate_state(state, parameters_, kMostAdamSteps / spec.local_steps);
}

Result<void> ReplicaPeerTrainer::load(const PeerState& state) {
  if (auto fits = validate(state); !fits) return fits;
  const std::size_t split = g->weight_count();
  const auto of_d = [&](const Blob& blob) {
    return part_of(blob, split, parameters_ - split);
  };
  PeerState d_state;
  d_state.parameters = of_d(state.parameters);
  if (!state.first_moment.empty()) {
    d_state.first_moment = of_d(state.first_moment);
    d_state.second_moment = of_d(state.second_moment);
    d_state.adam_steps = state.adam_steps * spec.local_steps;
    std::vector<NamedBlob> g_state = g->snapshot();
    for (const auto& [name, from] : {std::pair{kFirst, &state.first_moment},
                                     {kSecond, &state.second_moment}}) {
      Blob& place = find(g_state, name)->blob;
      place = part_of(*from, 0, place.meta.dims.at(0));
    }
    const auto steps = static_cast<std::int64_t>(state.adam_steps);
    find(g_state, kSteps)->blob = copy_blob(
        {protocol::DType::kInt64, {1}}, std::as_bytes(std::span(&steps, 1)));
    if (auto loaded = g->load(g_state); !loaded) return loaded;
  }
  g->set_weights(floats_of(aligned(state.parameters)).first(split), 1);
  return d->load(d_state);
}

}  // namespace mdgan
