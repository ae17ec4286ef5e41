// Arithmetic without LibTorch for the shells of server and peers: a generator
// and a discriminator of a few numbers each, whose every step depends on all
// that came before, so that a round lost, doubled or out of order shows in the
// end. All sums are exact in the order in which the shells promise them.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "common/merge/rules.h"
#include "tests/support/in_process_run.h"

namespace mdgan::test {
namespace {

// Of a discriminator: enough to be told from a handshake by their bytes.
constexpr std::uint64_t kParameters = 60;
constexpr std::uint64_t kWeights = 5;  // of the generator

Blob blob_of(std::vector<std::uint64_t> dims, const std::vector<float>& values,
             protocol::DType dtype = protocol::DType::kFloat32) {
  return copy_blob({dtype, std::move(dims)}, std::as_bytes(std::span(values)));
}

std::vector<float> values_of(const Blob& blob) {
  std::vector<float> values(blob.bytes.size() / sizeof(float));
  if (!values.empty())
    std::memcpy(values.data(), blob.bytes.data(), blob.bytes.size());
  return values;
}

// Keeps the numbers small however long a run is.
float tamed(float value) { return std::sin(value); }

class FakeSampler final : public Sampler {
 public:
  explicit FakeSampler(const ImageShape& image) : image_(image) {}
  const ImageShape& image() const override { return image_; }
  Blob evaluation_batch(std::uint32_t, std::uint32_t, std::uint32_t count,
                        std::uint64_t) const override {
    return sample(count, {}, 0);
  }
  Blob sample(std::uint32_t count, std::span<const std::int32_t>,
              std::uint64_t) const override {
    return blob_of({count, image_.channels, image_.height, image_.width},
                   std::vector<float>(count * image_.values()));
  }

 private:
  ImageShape image_;
};

class FakeRoundTrainer final : public RoundTrainer {
 public:
  // `least`: the answers to a batch that the run's rule needs.
  FakeRoundTrainer(GeneratorSpec spec, std::size_t least)
      : spec_(std::move(spec)), least_(least), weights_(kWeights, 0.5F) {}

  std::vector<std::vector<Blob>> batches(
      Round round, std::span<const ClassCounts> /*labels*/) override {
    std::vector<std::vector<Blob>> result;
    for (std::uint32_t j = 0; j < spec_.k; ++j) {
      std::vector<float> images(spec_.batch * spec_.image.values());
      for (std::size_t i = 0; i < images.size(); ++i)
        images[i] =
            tamed(weights_[i % kWeights] + static_cast<float>(i + 7 * j) +
                  static_cast<float>(round.value % 1000));
      result.push_back({blob_of({spec_.batch, spec_.image.channels,
                                 spec_.image.height, spec_.image.width},
                                images)});
      if (spec_.condition == Condition::kNone) continue;
      const std::vector<std::byte> zeros(spec_.batch * sizeof(std::int32_t));
      result.back().push_back(
          copy_blob({protocol::DType::kInt32, {spec_.batch}}, zeros));
    }
    return result;
  }

  Result<StepReport> step(Round round, std::uint32_t,
                          std::span<const PeerAnswer> answers) override {
    for (const PeerAnswer& answer : answers) {
      const std::vector<float> feedback = values_of(answer.tensors.at(0));
      for (std::size_t i = 0; i < feedback.size(); ++i)
        weights_[i % kWeights] +=
            feedback[i] / static_cast<float>(feedback.size());
    }
    for (float& weight : weights_)
      weight = tamed(weight + static_cast<float>(round.value % 1000));
    std::map<std::uint32_t, std::size_t> answered;  // each batch
    for (const PeerAnswer& answer : answers) ++answered[answer.batch];
    StepReport report;
    for (const auto& [batch, count] : answered)
      if (count < least_) ++report.fallbacks;
    return report;
  }

  std::unique_ptr<Sampler> sampler(std::unique_ptr<Sampler>) const override {
    return std::make_unique<FakeSampler>(spec_.image);
  }
  std::uint64_t generator_parameters() const override { return kWeights; }
  std::vector<NamedBlob> snapshot() const override {
    return {{"generator.weights", blob_of({kWeights}, weights_)}};
  }
  Result<void> load(std::span<const NamedBlob> state) override {
    weights_ = values_of(state[0].blob);
    return {};
  }

 private:
  GeneratorSpec spec_;
  std::size_t least_;
  std::vector<float> weights_;
};

class FakePeerTrainer final : public PeerTrainer {
 public:
  explicit FakePeerTrainer(PeerId peer) : peer_(peer) { initialise(); }

  void initialise() override {
    values_.assign(kParameters, static_cast<float>(peer_.value + 1));
    steps_ = 0;
  }
  void learn(Round round, std::uint32_t, const Blob& sent,
             const Blob&) override {
    const std::vector<float> images = values_of(sent);
    for (std::size_t i = 0; i < images.size(); ++i)
      values_[i % kParameters] += images[i] / 64;
    for (float& value : values_)
      value = tamed(value + static_cast<float>(round.value % 1000));
    ++steps_;
  }
  PeerFeedback feedback(const Blob& sent, const Blob&) override {
    std::vector<float> images = values_of(sent);
    for (std::size_t i = 0; i < images.size(); ++i)
      images[i] *= values_[i % kParameters];
    const std::uint64_t batch = sent.meta.dims.at(0);
    return {blob_of(sent.meta.dims, images),
            blob_of({batch}, std::vector<float>(batch)), 1, 1};
  }
  PeerState snapshot(bool with_optimizer) const override {
    PeerState state{blob_of({kParameters}, values_), {}, {}, steps_};
    if (with_optimizer)
      state.first_moment = state.second_moment =
          blob_of({kParameters}, std::vector<float>(kParameters));
    return state;
  }
  Result<void> validate(const PeerState& state) const override {
    if (state.parameters.meta ==
        protocol::TensorMeta{protocol::DType::kFloat32, {kParameters}})
      return {};
    return Error{"not as many numbers", ExitCode::kCheckpoint};
  }
  Result<void> load(const PeerState& state) override {
    if (auto valid = validate(state); !valid) return valid;
    values_ = values_of(state.parameters);
    steps_ = state.adam_steps;
    return {};
  }
  std::vector<NamedBlob> history() const override { return {}; }
  void load_history(const std::vector<NamedBlob>&) override {}
  std::uint64_t parameter_count() const override { return kParameters; }
  const std::array<std::byte, 32>& schema() const override { return schema_; }

 private:
  const PeerId peer_;
  const std::array<std::byte, 32> schema_{};
  std::vector<float> values_;
  std::uint64_t steps_ = 0;
};

// The sites' sums, added up, are the distance.
EvaluationAtPeers fake_evaluation() {
  const std::vector<std::byte> file(1000, std::byte{7});
  EvaluationAtPeers fake;
  fake.classifier = copy_blob({protocol::DType::kUint8, {file.size()}}, file);
  fake.hash = sha256(file);
  fake.takes = [](const ImageShape&) { return Result<void>(); };
  fake.generate = [](const Sampler&, std::uint64_t) -> Result<GeneratedImages> {
    constexpr std::size_t kImages = 3000;  // of more than one frame
    return GeneratedImages{
        {blob_of({kImages, kClassifierFeatures},
                 std::vector<float>(kImages * kClassifierFeatures, 2)),
         blob_of({kImages}, std::vector<float>(kImages, 1))},
        {},
        {},
        {}};
  };
  fake.merge =
      [](Round round, const GeneratedImages&,
         std::span<const MeasuredSite> sites) -> Result<EvaluationRecord> {
    EvaluationRecord record;
    record.round = round.value;
    record.samples = 30;
    record.features = "none";
    for (const auto& [name, metrics] : sites) {
      record.frechet_distance += metrics.sums.sum.at(5);
      record.real_images += static_cast<std::uint32_t>(metrics.sums.images);
      record.sites.push_back(
          {name, metrics.sums.images, metrics.kernel_distance_mean,
           metrics.kernel_distance_std, metrics.recall, std::nullopt});
    }
    return record;
  };
  return fake;
}

}  // namespace

ServerArithmetic server_arithmetic(const ServerOptions& options) {
  const Aggregation& how = options.aggregation;
  const std::size_t least = smallest_group(how.rule, how.parameters.hostile);
  ServerArithmetic arithmetic;
  arithmetic.make_trainer = [least](
                                const GeneratorSpec& generator,
                                const TrainingSpec&) -> Result<MadeTrainer> {
    return MadeTrainer{std::make_unique<FakeRoundTrainer>(generator, least),
                       {.schema = {}, .parameters = kParameters}};
  };
  arithmetic.start_thread = [] {};
  if (options.evaluate_at == EvaluateAt::kPeers)
    arithmetic.at_peers = fake_evaluation();
  return arithmetic;
}

PeerArithmetic peer_arithmetic() {
  return {
      .make_trainer = [](const TrainingSpec&, std::shared_ptr<const Dataset>,
                         std::vector<std::uint32_t>,
                         PeerId peer) -> Result<std::unique_ptr<PeerTrainer>> {
        return std::unique_ptr<PeerTrainer>(
            std::make_unique<FakePeerTrainer>(peer));
      },
      .start_thread = [] {}};
}

}  // namespace mdgan::test
