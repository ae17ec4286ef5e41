// What the server, the one authority of a run, tells every peer to train: plain
// values with their names on the wire and in configuration files.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/class_names.h"

namespace mdgan {

// The adversarial loss of D and G; the formulas are in PROTOCOL.md, "Losses".
enum class Loss {
  kNonSaturating,
  kSaturating,
  kHinge,
  kWassersteinGp,
  kRelativistic,
};
inline constexpr std::array<std::pair<Loss, std::string_view>, 5> kLossNames{{
    {Loss::kNonSaturating, "non-saturating"},
    {Loss::kSaturating, "saturating"},
    {Loss::kHinge, "hinge"},
    {Loss::kWassersteinGp, "wgan-gp"},
    {Loss::kRelativistic, "relativistic"},
}};

// Whether G's loss sets each generated image against a real one.
constexpr bool pairs_images(Loss loss) { return loss == Loss::kRelativistic; }

// How labels enter: not at all; as a class head beside the real/fake logit
// (ACGAN, Odena et al. 2017, the paper's); or as an inner product of a label
// embedding with D's features (Miyato and Koyama 2018).
enum class Condition { kNone, kAcgan, kProjection };
inline constexpr std::array<std::pair<Condition, std::string_view>, 3>
    kConditionNames{{
        {Condition::kNone, "none"},
        {Condition::kAcgan, "acgan"},
        {Condition::kProjection, "projection"},
    }};

// How the images that a discriminator sees, real and generated, are changed at
// random, so that few of them do not teach it their details.
enum class Augment {
  kNone,
  kDiffAugment,
  kAda,  // each change as probable as the peer's images need it
};
inline constexpr std::array<std::pair<Augment, std::string_view>, 3>
    kAugmentNames{{
        {Augment::kNone, "none"},
        {Augment::kDiffAugment, "diffaugment"},
        {Augment::kAda, "ada"},
    }};

// Which labels the generated batches of a conditional model have.
enum class BatchLabels {
  kUniform,  // each class is as likely, whoever judges the batch
  kShard,    // those of the shards of the peers that judge it
};
inline constexpr std::array<std::pair<BatchLabels, std::string_view>, 2>
    kBatchLabelsNames{{
        {BatchLabels::kUniform, "uniform"},
        {BatchLabels::kShard, "shard"},
    }};

// How training is distributed; PROTOCOL.md, "Algorithms". In all of them a
// round is one generator update. Names and traits: protocol/algorithm.h.
enum class Algorithm { kMdGan, kFlGan, kDataParallel };

template <typename Enum, std::size_t N>
constexpr std::string_view name_of(
    const std::array<std::pair<Enum, std::string_view>, N>& names, Enum value) {
  for (const auto& [candidate, name] : names)
    if (candidate == value) return name;
  return "?";
}

template <typename Enum, std::size_t N>
constexpr std::optional<Enum> value_of(
    const std::array<std::pair<Enum, std::string_view>, N>& names,
    std::string_view name) {
  for (const auto& [value, candidate] : names)
    if (candidate == name) return value;
  return std::nullopt;
}

// The shape of one image and the number of classes; 0 classes: no labels.
struct ImageShape {
  std::uint32_t channels = 0;
  std::uint32_t height = 0;
  std::uint32_t width = 0;
  std::uint32_t classes = 0;
  std::uint64_t values() const {
    return std::uint64_t{channels} * height * width;
  }
  friend bool operator==(const ImageShape&, const ImageShape&) = default;
};

// How many images of each class there are.
using ClassCounts = std::vector<std::uint64_t>;

// Adam (Kingma and Ba 2015) with bias correction.
struct AdamSpec {
  double learning_rate = 2e-4;
  double beta1 = 0.5;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  friend bool operator==(const AdamSpec&, const AdamSpec&) = default;
};

// Everything a peer must know to train its discriminator, and a generator of
// its own, of which MD-GAN uses nothing.
struct TrainingSpec {
  std::string model;  // "mlp", "mnist-cnn", ...: common/models/registry.h
  ImageShape image;
  Condition condition = Condition::kNone;
  Loss loss = Loss::kNonSaturating;
  double r1_gamma = 0;           // R1 = gamma/2 * E|grad_x D(x_real)|^2; 0: off
  double r2_gamma = 0;           // the same on generated images
  double gradient_penalty = 10;  // weight of WGAN-GP's penalty
  AdamSpec adam;
  std::uint32_t batch = 10;       // b
  std::uint32_t local_steps = 1;  // L
  // Each of the L steps has a batch of its own: real samples, and the generated
  // ones of the last L rounds (a history, as of Shrivastava et al. 2017,
  // section 2.3). Else all L are on one batch, which is the paper's.
  bool replay = false;
  std::uint64_t seed = 1;
  bool swap_optimizer = true;  // Adam's moments travel with D
  Algorithm algorithm = Algorithm::kMdGan;
  std::uint32_t latent = 100;  // with generator_adam, of the generator
  AdamSpec generator_adam;
  // What a label of the run means: its class's place in this list. Empty:
  // labels play no part.
  ClassNames classes;
  Augment augment = Augment::kNone;
  // MD-GAN's labels come with the batches; a peer with a generator draws its
  // own as this says.
  BatchLabels labels = BatchLabels::kUniform;
  friend bool operator==(const TrainingSpec&, const TrainingSpec&) = default;
};

}  // namespace mdgan
