#include "common/augment/adaptive_probability.h"

#include <cmath>
#include <limits>
#include <optional>

#include "tests/support/catch.h"

namespace mdgan::test {
namespace {

constexpr std::uint64_t kImages = 100;  // of a step

// After so many steps, each with this mean sign.
AdaptiveProbability after(int steps, double r, AdaptiveProbability from = {}) {
  for (int i = 0; i < steps; ++i) from.observe(1, kImages, r * kImages);
  return from;
}

TEST_CASE("the probability goes by the sign of the logits on real images") {
  CHECK(AdaptiveProbability().value() == 0);
  CHECK(after(3, 1).value() == 0);  // too few steps to tell
  CHECK(after(4, 1).value() == Approx(400.0 / 50'000));
  CHECK(after(8, 0.62).value() == Approx(800.0 / 50'000));
  CHECK(after(8, 0.6).value() == 0);
  CHECK(after(4, 0.58, after(8, 1)).value() == Approx(400.0 / 50'000));
  // A round of five steps is one observation.
  AdaptiveProbability round;
  round.observe(5, 5 * kImages, 5 * kImages);
  CHECK(round.value() == Approx(500.0 / 50'000));
  // It stays within its bounds.
  CHECK(after(1000, 1).value() == Approx(0.8));
  CHECK(after(4, -1).value() == 0);
  CHECK(after(400, -1, after(1000, 1)).value() == 0);
}

TEST_CASE("logits that are no numbers do not move the probability") {
  AdaptiveProbability p = after(7, 1);
  const AdaptiveProbability before = p;
  p.observe(4, 4 * kImages, std::numeric_limits<double>::quiet_NaN());
  p.observe(4, 4 * kImages, 4 * kImages + 1);
  p.observe(4, std::uint64_t{1} << 40, 0);
  CHECK(p == before);
}

TEST_CASE("a saved probability goes on as if nothing had been") {
  const AdaptiveProbability p = after(7, 1);
  const auto loaded = AdaptiveProbability::load(p.state());
  REQUIRE(loaded.has_value());
  CHECK(*loaded == p);
  CHECK(after(1, 1, *loaded) == after(1, 1, p));
  for (const AdaptiveProbability::State& wrong :
       {AdaptiveProbability::State{-1, 0, 0, 0},
        {40'001, 0, 0, 0},
        {0, 4, 0, 0},
        {0, -1, 0, 0},
        {0, 1, -1, 0},
        {0, 1, 10, 11},
        {0, 1, 10, -11},
        {0, 1, std::numeric_limits<std::int32_t>::max(), 0}})
    CHECK_FALSE(AdaptiveProbability::load(wrong).has_value());
}

}  // namespace
}  // namespace mdgan::test
