#include "common/base/random.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <set>
#include <vector>

#include "tests/support/catch.h"

namespace mdgan::test {
namespace {

std::vector<std::uint32_t> draw(Random random, std::size_t n) {
  std::vector<std::uint32_t> values(n);
  for (auto& value : values) value = random.next();
  return values;
}

TEST_CASE("a stream is the same whenever it is opened", "[random]") {
  const Random random(7, Purpose::kLatents, 3, 41);
  CHECK(draw(random, 100) == draw(Random(7, Purpose::kLatents, 3, 41), 100));
}

TEST_CASE("the numbers of a stream never change", "[random]") {
  // From an independent implementation, in Python, that gives the known answer
  // of Philox4x32-10. A change would make every old checkpoint unresumable.
  CHECK(draw(Random(1, Purpose::kLatents), 5) ==
        std::vector<std::uint32_t>{0x9be8f23aU, 0x616b1aebU, 0x18adf011U,
                                   0xde843d1dU, 0x8d56841cU});
}

TEST_CASE("seed, purpose, owner and round each give another stream",
          "[random]") {
  std::set<std::vector<std::uint32_t>> streams;
  std::size_t opened = 0;
  for (const std::uint64_t seed : {0ULL, 1ULL, ~0ULL})
    for (const auto purpose : {Purpose::kLatents, Purpose::kLabels})
      for (const std::uint32_t owner : {0U, 1U, 65'535U})
        for (const std::uint64_t round : {0ULL, 1ULL, 1ULL << 40}) {
          streams.insert(draw(Random(seed, purpose, owner, round), 4));
          ++opened;
        }
  CHECK(streams.size() == opened);
}

TEST_CASE("neighbouring streams are not correlated", "[random]") {
  constexpr std::size_t kCount = 20'000;
  std::vector<float> a(kCount);
  std::vector<float> b(kCount);
  Random(1, Purpose::kLatents, 0, 10).fill_normal(a);
  Random(1, Purpose::kLatents, 0, 11).fill_normal(b);
  const double product =
      std::inner_product(a.begin(), a.end(), b.begin(), 0.0) / kCount;
  CHECK(std::abs(product) < 5 / std::sqrt(double{kCount}));
}

TEST_CASE("below() is uniform", "[random]") {
  const auto n =
      GENERATE(std::uint64_t{2}, std::uint64_t{7}, std::uint64_t{100});
  constexpr int kDraws = 70'000;
  const std::uint64_t seed = 99;
  INFO("seed " << seed << ", n " << n);
  Random random(seed, Purpose::kSimulation);
  std::vector<double> counts(n);
  for (int i = 0; i < kDraws; ++i) {
    const std::uint64_t value = random.below(n);
    REQUIRE(value < n);
    ++counts[value];
  }
  const double expected = double{kDraws} / static_cast<double>(n);
  double chi_square = 0;
  for (const double count : counts)
    chi_square += (count - expected) * (count - expected) / expected;
  // Mean n - 1, variance 2(n - 1): five standard deviations above.
  const auto freedom = static_cast<double>(n - 1);
  CHECK(chi_square < freedom + 5 * std::sqrt(2 * freedom) + 5);
}

TEST_CASE("below() of one is zero, and of 2^63 + 1 stays below", "[random]") {
  Random random(1, Purpose::kSimulation);
  for (int i = 0; i < 100; ++i) {
    CHECK(random.below(1) == 0);
    CHECK(random.below((1ULL << 63) + 1) <= 1ULL << 63);
  }
}

TEST_CASE("a permutation holds every number once", "[random]") {
  const auto n = GENERATE(0U, 1U, 2U, 1000U);
  Random random(5, Purpose::kSwapCycle);
  std::vector<std::uint32_t> order = permutation(n, random);
  if (n == 1000) CHECK_FALSE(std::is_sorted(order.begin(), order.end()));
  std::sort(order.begin(), order.end());
  std::vector<std::uint32_t> all(n);
  std::iota(all.begin(), all.end(), 0U);
  CHECK(order == all);
}

TEST_CASE("all orders of three are equally likely", "[random]") {
  const std::uint64_t seed = 3;
  INFO("seed " << seed);
  Random random(seed, Purpose::kSimulation);
  std::array<int, 6> counts{};
  constexpr int kDraws = 12'000;
  for (int i = 0; i < kDraws; ++i) {
    const auto p = permutation(3, random);
    ++counts[2 * p[0] + (p[1] > p[2] ? 1U : 0U)];
  }
  for (const int count : counts)
    CHECK(std::abs(count - kDraws / 6) < 5 * std::sqrt(kDraws / 6.0));
}

TEST_CASE("normal numbers have mean 0, variance 1, and normal tails",
          "[random]") {
  const std::uint64_t seed = 11;
  INFO("seed " << seed);
  std::vector<float> values(100'001);  // odd: the last pair is cut
  Random(seed, Purpose::kLatents).fill_normal(values);
  const auto n = static_cast<double>(values.size());
  double sum = 0;
  double squares = 0;
  double beyond_two = 0;
  for (const double x : values) {
    sum += x;
    squares += x * x;
    if (std::abs(x) > 2) ++beyond_two;
  }
  CHECK(std::abs(sum / n) < 5 / std::sqrt(n));
  CHECK(std::abs(squares / n - 1) < 5 * std::sqrt(2 / n));
  CHECK(std::abs(beyond_two / n - 0.0455) < 0.004);
}

TEST_CASE("uniform numbers fill their range", "[random]") {
  std::vector<float> values(10'000);
  Random(2, Purpose::kPenalty).fill_uniform(values, -3.0F, 5.0F);
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  CHECK(*low >= -3.0F);
  CHECK(*low < -2.9F);
  CHECK(*high < 5.0F);
  CHECK(*high > 4.9F);
}

}  // namespace
}  // namespace mdgan::test
