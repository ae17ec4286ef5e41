#include <algorithm>
#include <cmath>

#include "common/base/random.h"
#include "tests/support/catch.h"
#include "tests/support/merge_factors.h"

namespace mdgan::test {
namespace {

constexpr AggregationRule kRules[] = {aggregate_mean, aggregate_by_shard_size,
                                      aggregate_gman, aggregate_f2a,
                                      aggregate_ua_gan};

MergeRow row(std::uint32_t group, double shard_size,
             std::span<const float> logits) {
  return {.peer = {},
          .group = group,
          .values = {},
          .logits = logits,
          .shard_size = shard_size};
}

// Two peers of group 0, with shards of 100 and 300 and logits of 1 and 2.
std::vector<float> of_two(AggregationRule rule, double temperature) {
  const float low = 1, high = 2;
  const std::vector<MergeRow> group{row(0, 100, {&low, 1}),
                                    row(0, 300, {&high, 1})};
  return merge_factors({rule, temperature}, group, 1);
}

// Twice the weight of the first of two peers.
void check_first(const std::vector<float>& factors, double twice) {
  REQUIRE(factors.size() == 2);
  CHECK(factors[0] == Approx(twice));
  CHECK(factors[1] == Approx(2 - twice));
}

}  // namespace

TEST_CASE("the factors are what the formulas give by hand", "[aggregation]") {
  check_first(of_two(aggregate_mean, 1), 1);
  check_first(of_two(aggregate_by_shard_size, 1), 2 * 0.25);
  // e^-1 / (e^-1 + e^-2) = 1 / (1 + e^-1)
  check_first(of_two(aggregate_gman, 1), 2 * 0.73105857863);
  check_first(of_two(aggregate_f2a, 1), 2 * 0.26894142137);
  // e / (e + 3 e^2) = 1 / (1 + 3e)
  check_first(of_two(aggregate_ua_gan, 1), 2 * 0.10923177257);
  // With t = 2: 1 / (1 + e^-2), and 1 / (1 + 3 e^2).
  check_first(of_two(aggregate_gman, 2), 2 * 0.88079707798);
  check_first(of_two(aggregate_ua_gan, 2), 2 * 0.04316453298);
  // Without temperature the judgements do not count.
  check_first(of_two(aggregate_f2a, 0), 1);
  check_first(of_two(aggregate_ua_gan, 0), 2 * 0.25);
}

TEST_CASE("a harsh judge counts most for gman and a forgiving one for f2a",
          "[aggregation]") {
  // The first takes the image for generated, the second for real.
  const float harsh = -3, forgiving = 3;
  const std::vector<MergeRow> group{row(0, 1, {&harsh, 1}),
                                    row(0, 1, {&forgiving, 1})};
  const auto gman = merge_factors({aggregate_gman, 1}, group, 1);
  CHECK(gman[0] > 1.99);
  const auto f2a = merge_factors({aggregate_f2a, 1}, group, 1);
  CHECK(f2a[1] > 1.99);
}

TEST_CASE("in every group the factors sum to its size, sample by sample",
          "[aggregation]") {
  const std::uint64_t seed = GENERATE(1U, 2U, 3U);
  INFO("seed " << seed);
  constexpr std::size_t kSamples = 7;
  Random random(seed, Purpose::kSimulation);
  std::vector<float> logits(11 * kSamples);
  random.fill_uniform(logits, -30, 30);
  std::vector<MergeRow> judgements;
  for (std::size_t i = 0; i < 11; ++i)
    judgements.push_back(
        row(static_cast<std::uint32_t>(i * i % 3),
            static_cast<double>(1 + random.below(1000)),
            std::span(logits).subspan(i * kSamples, kSamples)));
  for (const AggregationRule rule : kRules) {
    INFO(name_of(kAggregationRules, rule));
    const auto factors = merge_factors({rule, 0.5}, judgements, kSamples);
    REQUIRE(factors.size() == 11 * kSamples);
    for (std::size_t s = 0; s < kSamples; ++s) {
      double sums[3] = {}, sizes[3] = {};
      for (std::size_t i = 0; i < 11; ++i) {
        const double factor = static_cast<double>(factors[i * kSamples + s]);
        CHECK(factor >= 0);
        sums[judgements[i].group] += factor;
        sizes[judgements[i].group] += 1;
      }
      for (int g = 0; g < 3; ++g)
        CHECK(sums[g] == Approx(sizes[g]).epsilon(1e-6));
    }
  }
}

TEST_CASE("equal judges and shards make every rule the mean, exactly",
          "[aggregation]") {
  const std::size_t count = GENERATE(range<std::size_t>(1, 60));
  const float logits[] = {0.1F, -4.7F, 1e6F};
  const std::vector<MergeRow> judgements(count, row(4, 6000, logits));
  for (const AggregationRule rule : kRules) {
    const auto factors = merge_factors({rule, 3}, judgements, 3);
    CHECK(std::all_of(factors.begin(), factors.end(),
                      [](float f) { return f == 1; }));
  }
}

TEST_CASE("extreme judgements and sizes leave the factors finite",
          "[aggregation]") {
  const std::vector<float> logits[] = {
      {1e6F, -1e6F}, {-1e6F, -1e6F}, {0, 1e6F}};
  const double sizes[] = {0, 1e19, 1};
  const double temperature = GENERATE(0.0, 1.0, 1e6);
  std::vector<MergeRow> judgements;
  for (int i = 0; i < 3; ++i) judgements.push_back(row(0, sizes[i], logits[i]));
  for (const AggregationRule rule : kRules) {
    INFO(name_of(kAggregationRules, rule));
    const auto factors = merge_factors({rule, temperature}, judgements, 2);
    for (const float factor : factors) {
      CHECK(std::isfinite(factor));
      CHECK(factor >= 0);
    }
    for (std::size_t s = 0; s < 2; ++s)
      CHECK(factors[s] + factors[2 + s] + factors[4 + s] == Approx(3));
  }
}

TEST_CASE("a peer alone in its group counts as in the mean", "[aggregation]") {
  const float logit = -50;
  const std::vector<MergeRow> judgements{row(0, 1, {&logit, 1}),
                                         row(1, 9, {&logit, 1})};
  for (const AggregationRule rule : kRules)
    CHECK(merge_factors({rule, 1}, judgements, 1) == std::vector<float>{1, 1});
}

}  // namespace mdgan::test
