// A run small enough for tests of the arithmetic: random images, and trainers
// for them.
#pragma once

#include <cstring>
#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "common/base/random.h"
#include "common/train/discriminator/discriminator_trainer.h"
#include "common/train/generator/generator_trainer.h"
#include "tests/support/catch.h"

namespace mdgan::test {

struct TrainerRun {
  std::string model = "mlp";
  ImageShape image{1, 4, 4, 3};
  Condition condition = Condition::kNone;
  Loss loss = Loss::kNonSaturating;
  std::uint32_t batch = 4;
  std::uint32_t k = 1;
  std::uint64_t seed = 5;
  double ema = 0.9;
  AdamSpec adam{.learning_rate = 1e-3};

  GeneratorSpec generator() const {
    GeneratorSpec spec;
    spec.model = model;
    spec.image = image;
    spec.condition = condition;
    spec.latent = 6;
    spec.adam = adam;
    spec.ema = ema;
    spec.batch = batch;
    spec.k = k;
    spec.seed = seed;
    return spec;
  }
  TrainingSpec discriminator() const {
    TrainingSpec spec;
    spec.model = model;
    spec.image = image;
    spec.condition = condition;
    spec.loss = loss;
    spec.adam = adam;
    spec.batch = batch;
    spec.seed = seed;
    return spec;
  }
};

inline std::shared_ptr<const Dataset> random_images(const ImageShape& shape,
                                                    std::uint32_t count) {
  auto data = std::make_shared<Dataset>();
  data->shape = shape;
  Random random(99, Purpose::kSimulation);
  for (std::uint64_t i = 0; i < count * shape.values(); ++i)
    data->pixels.push_back(static_cast<std::uint8_t>(random.below(256)));
  for (std::uint32_t i = 0; i < count; ++i)
    data->labels.push_back(
        static_cast<std::int32_t>(random.below(shape.classes)));
  return data;
}

inline std::vector<std::uint32_t> first_indices(std::uint32_t count) {
  std::vector<std::uint32_t> indices(count);
  std::iota(indices.begin(), indices.end(), 0U);
  return indices;
}

inline std::unique_ptr<GeneratorTrainer> make_generator_trainer(
    const GeneratorSpec& spec) {
  auto made = GeneratorTrainer::create(spec, "cpu");
  REQUIRE(made.ok());
  return std::move(*made);
}

inline std::unique_ptr<DiscriminatorTrainer> make_discriminator_trainer(
    const TrainingSpec& spec, std::uint32_t id) {
  auto made =
      DiscriminatorTrainer::create(spec, random_images(spec.image, 20),
                                   first_indices(20), PeerId{id}, "cpu");
  REQUIRE(made.ok());
  (*made)->initialise();
  return std::move(*made);
}

// One round of Algorithm 1 with every peer; returns each peer's feedback.
inline std::vector<PeerFeedback> train_round(
    GeneratorTrainer& server, const std::vector<DiscriminatorTrainer*>& peers,
    std::uint32_t k, Round round) {
  const auto batches = server.generate(round);
  std::vector<PeerFeedback> answers;
  std::vector<Contribution> contributions;
  for (std::uint32_t n = 0; n < peers.size(); ++n) {
    const auto& discriminated = batches[(n + 1) % k];
    const auto& generated = batches[n % k];
    peers[n]->learn(round, discriminated.images, discriminated.labels);
    answers.push_back(peers[n]->feedback(generated.images, generated.labels));
    contributions.push_back({PeerId{n}, n % k, answers.back().feedback});
  }
  REQUIRE(server.step(round, contributions).ok());
  return answers;
}

// Bit for bit.
inline bool same(const Blob& a, const Blob& b) {
  return a.meta == b.meta && a.bytes.size() == b.bytes.size() &&
         (a.empty() ||
          std::memcmp(a.bytes.data(), b.bytes.data(), a.bytes.size()) == 0);
}
inline bool same(const PeerState& a, const PeerState& b) {
  return same(a.parameters, b.parameters) &&
         same(a.first_moment, b.first_moment) &&
         same(a.second_moment, b.second_moment) && a.adam_steps == b.adam_steps;
}
inline bool same(const std::vector<NamedBlob>& a,
                 const std::vector<NamedBlob>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (a[i].name != b[i].name || !same(a[i].blob, b[i].blob)) return false;
  return true;
}

inline const Blob& find(const std::vector<NamedBlob>& state,
                        const std::string& name) {
  for (const NamedBlob& item : state)
    if (item.name == name) return item.blob;
  FAIL("no tensor " << name);
  throw 0;  // FAIL has thrown already
}

// The float32 values of a blob.
inline std::vector<float> floats(const Blob& blob) {
  std::vector<float> values(blob.bytes.size() / sizeof(float));
  std::memcpy(values.data(), blob.bytes.data(), blob.bytes.size());
  return values;
}
inline Blob float_blob(std::vector<std::uint64_t> dims,
                       const std::vector<float>& values) {
  protocol::TensorMeta meta;
  meta.dims = std::move(dims);
  return copy_blob(meta, std::as_bytes(std::span(values)));
}

// A peer's answer to batch 0 in which every value is the same.
inline std::vector<Contribution> constant_feedback(const TrainerRun& run,
                                                   float value) {
  const auto& image = run.image;
  return {{PeerId{0}, 0,
           float_blob({run.batch, image.channels, image.height, image.width},
                      std::vector<float>(run.batch * image.values(), value))}};
}

// The state with the first value of its tensor `name` replaced.
inline std::vector<NamedBlob> with_value(std::vector<NamedBlob> state,
                                         const std::string& name, float value) {
  for (NamedBlob& item : state) {
    if (item.name != name) continue;
    auto values = floats(item.blob);
    values.front() = value;
    item.blob = float_blob(item.blob.meta.dims, values);
  }
  return state;
}

}  // namespace mdgan::test
