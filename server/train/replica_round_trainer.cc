#include "server/train/replica_round_trainer.h"

#include <algorithm>
#include <string_view>

#include "common/base/random.h"
#include "common/merge/rules.h"
#include "common/models/registry.h"
#include "common/tensor/floats.h"
#include "common/tensor/guard.h"
#include "common/tensor/tensor_blob.h"

namespace mdgan {
namespace {

constexpr std::string_view kPrefix = "discriminator.";

}  // namespace

Result<TrainedDiscriminator> make_replica_discriminator(
    const TrainingSpec& spec) {
  return guarded("cannot make the discriminator", ExitCode::kConfiguration,
                 [&]() -> Result<TrainedDiscriminator> {
                   auto model = make_discriminator(spec.model, spec.image,
                                                   spec.condition);
                   if (!model) return model.error();
                   return TrainedDiscriminator(spec, std::move(*model));
                 });
}

torch::Tensor mean_of(std::span<const PeerAnswer> answers,
                      std::span<const double> weights) {
  MDGAN_CHECK(!answers.empty() && weights.size() == answers.size());
  double total = 0;
  for (const double weight : weights) total += weight;
  std::vector<MergeRow> rows;
  for (std::size_t i = 0; i < answers.size(); ++i)
    rows.push_back({.peer = answers[i].peer,
                    .values = answers[i].tensors.at(0),
                    .weight = weights[i] / total});
  // The weights sum to 1, so that the sum is the mean.
  const torch::Tensor mean = torch::empty(
      {static_cast<std::int64_t>(rows.front().values.meta.dims.at(0))});
  const std::span<float> sums[]{floats_of(mean)};
  (void)merge(aggregate_mean, {}, rows, sums);
  return mean;
}

ReplicaRoundTrainer::ReplicaRoundTrainer(
    std::unique_ptr<GeneratorTrainer> generator,
    TrainedDiscriminator discriminator)
    : g(std::move(generator)), d(std::move(discriminator)) {
  Random random(d.spec.seed, Purpose::kDiscriminatorInit);
  d.initialise(random);
}

std::vector<std::vector<Blob>> ReplicaRoundTrainer::batches(
    Round /*round*/, std::span<const ClassCounts> /*labels*/) {
  return plain_exceptions([&] {
    const auto size = static_cast<std::int64_t>(generator_size());
    torch::Tensor replica = torch::empty({size + d.size()});
    g->copy_weights(
        {replica.data_ptr<float>(), static_cast<std::size_t>(size)});
    replica.narrow(0, size, d.size()).copy_(d.values());
    return std::vector<std::vector<Blob>>{{to_blob(replica)}};
  });
}

std::vector<NamedBlob> ReplicaRoundTrainer::snapshot() const {
  std::vector<NamedBlob> state = g->snapshot();
  plain_exceptions([&] {
    const auto add = [&](std::string_view name, const Blob& blob) {
      state.push_back({std::string(kPrefix) + std::string(name), blob});
    };
    const PeerState of_d = d.snapshot(/*with_optimizer=*/true);
    add("parameters", of_d.parameters);
    add("first_moment", of_d.first_moment);
    add("second_moment", of_d.second_moment);
    add("steps",
        to_blob(torch::tensor({static_cast<std::int64_t>(of_d.adam_steps)})));
  });
  return state;
}

Result<void> ReplicaRoundTrainer::load(std::span<const NamedBlob> state) {
  const auto value_of = [&](std::string_view name) -> const Blob* {
    const std::string wanted = std::string(kPrefix) + std::string(name);
    const auto it = std::ranges::find(state, wanted, &NamedBlob::name);
    return it == state.end() ? nullptr : &it->blob;
  };
  const Blob* values[3] = {value_of("parameters"), value_of("first_moment"),
                           value_of("second_moment")};
  const Blob* steps = value_of("steps");
  const protocol::TensorMeta meta{protocol::DType::kFloat32,
                                  {static_cast<std::uint64_t>(d.size())}};
  const auto fits = [&](const Blob* blob) {
    return blob != nullptr && blob->meta == meta && is_finite(*blob);
  };
  if (!std::ranges::all_of(values, fits) || steps == nullptr ||
      steps->meta != protocol::TensorMeta{protocol::DType::kInt64, {1}} ||
      has_negative(*values[2]) || to_tensor(*steps).item<std::int64_t>() < 0)
    return Error{
        "the checkpoint's discriminator is missing, damaged or of another "
        "size: it "
        "does not belong to this run's algorithm and model; resume with the "
        "configuration the run was started with",
        ExitCode::kCheckpoint};
  std::vector<NamedBlob> of_g(state.begin(), state.end());
  std::erase_if(of_g, [](const NamedBlob& item) {
    return item.name.starts_with(kPrefix);
  });
  if (auto loaded = g->load(of_g); !loaded) return loaded;
  return guarded("cannot load the discriminator", ExitCode::kCheckpoint,
                 [&]() -> Result<void> {
                   d.load({*values[0], *values[1], *values[2],
                           static_cast<std::uint64_t>(
                               to_tensor(*steps).item<std::int64_t>())});
                   return {};
                 });
}

}  // namespace mdgan
