#include "common/augment/adaptive_probability.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace mdgan {
namespace {

constexpr auto kMostLevel = static_cast<std::int32_t>(
    AdaptiveProbability::kMost * AdaptiveProbability::kImagesToOne);
// More than a round has: 1000 steps of 65536 images.
constexpr std::uint64_t kMostImages = 100'000'000;

}  // namespace

double AdaptiveProbability::value() const {
  return static_cast<double>(level_) / kImagesToOne;
}

void AdaptiveProbability::observe(std::uint32_t steps, std::uint64_t images,
                                  double signs) {
  if (images > kMostImages || !(std::abs(signs) <= static_cast<double>(images)))
    return;
  steps_ += static_cast<std::int32_t>(steps);
  images_ += static_cast<std::int32_t>(images);
  signs_ += static_cast<std::int32_t>(signs);
  if (steps_ < static_cast<std::int32_t>(kSteps)) return;
  const double r = static_cast<double>(signs_) / std::max(images_, 1);
  const std::int32_t by = std::min(images_, kMostLevel);
  if (r > kTarget) level_ = std::min(level_ + by, kMostLevel);
  if (r < kTarget) level_ = std::max(level_ - by, 0);
  steps_ = images_ = signs_ = 0;
}

AdaptiveProbability::State AdaptiveProbability::state() const {
  return {level_, steps_, images_, signs_};
}

std::optional<AdaptiveProbability> AdaptiveProbability::load(
    const State& state) {
  const auto [level, steps, images, signs] = state;
  if (level < 0 || level > kMostLevel || steps < 0 ||
      steps >= static_cast<std::int32_t>(kSteps) || images < 0 ||
      images > static_cast<std::int32_t>(kMostImages) || signs < -images ||
      signs > images)
    return std::nullopt;
  AdaptiveProbability loaded;
  loaded.level_ = level;
  loaded.steps_ = steps;
  loaded.images_ = images;
  loaded.signs_ = signs;
  return loaded;
}

}  // namespace mdgan
