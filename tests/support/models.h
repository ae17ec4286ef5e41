// Every model in some sizes, with weights from a seed, and inputs for them.
#pragma once

#include <torch/torch.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/base/random.h"
#include "common/models/initialise.h"
#include "common/models/registry.h"
#include "tests/support/catch.h"

namespace mdgan::test {

inline constexpr std::uint32_t kLatent = 100;
inline constexpr std::uint32_t kClasses = 10;
inline constexpr ImageShape kMnist{1, 28, 28, kClasses};
inline constexpr ImageShape kCifar{3, 32, 32, kClasses};

struct Case {
  std::string model;
  ImageShape image;
};

// Every model; those for many sizes also at an uncommon one.
inline const std::vector<Case> kCases{
    {"mlp", kMnist},           {"mlp", {2, 5, 7, 3}},
    {"mnist-cnn", kMnist},     {"mnist-cnn", {3, 12, 8, 4}},
    {"cifar10-cnn", kCifar},   {"cifar10-cnn", {1, 8, 24, 2}},
    {"dcgan", {3, 32, 32, 5}}, {"resnet", {1, 32, 32, 5}},
    {"r3gan", {3, 32, 32, 5}},
};
inline constexpr std::array kConditions{Condition::kNone, Condition::kAcgan,
                                        Condition::kProjection};

inline std::string describe(const Case& c, Condition condition) {
  return c.model + " " + std::to_string(c.image.channels) + "x" +
         std::to_string(c.image.height) + "x" + std::to_string(c.image.width) +
         " " + std::string(name_of(kConditionNames, condition));
}

inline std::shared_ptr<Generator> generator(const Case& c, Condition condition,
                                            std::uint64_t seed = 1) {
  auto made = make_generator(c.model, c.image, condition, kLatent);
  REQUIRE(made.ok());
  Random random(seed, Purpose::kGeneratorInit);
  initialise(**made, random);
  return *made;
}

inline std::shared_ptr<Discriminator> discriminator(const Case& c,
                                                    Condition condition,
                                                    std::uint64_t seed = 1) {
  auto made = make_discriminator(c.model, c.image, condition);
  REQUIRE(made.ok());
  Random random(seed, Purpose::kDiscriminatorInit);
  initialise(**made, random);
  return *made;
}

// [n, dims...] of N(0, 1), the same for every call.
inline torch::Tensor noise(std::vector<std::int64_t> dims,
                           std::uint64_t seed = 7) {
  torch::Tensor values = torch::empty(dims, torch::kFloat32);
  Random random(seed, Purpose::kSimulation);
  random.fill_normal(
      {values.data_ptr<float>(), static_cast<std::size_t>(values.numel())});
  return values;
}

inline torch::Tensor latents(std::int64_t n) { return noise({n, kLatent}); }

inline torch::Tensor images(std::int64_t n, const ImageShape& shape) {
  return torch::tanh(noise({n, shape.channels, shape.height, shape.width}));
}

inline torch::Tensor labels(std::int64_t n, const ImageShape& shape) {
  return torch::arange(n, torch::kInt64).remainder(std::int64_t{shape.classes});
}

}  // namespace mdgan::test
