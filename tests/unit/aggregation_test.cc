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
  // With t = 2: 1 / (1 + e^-2).
  check_first(of_two(aggregate_gman, 2), 2 * 0.88079707798);
  // Without temperature the judgements do not count.
  check_first(of_two(aggregate_f2a, 0), 1);
}

// The logits of one image by n peers with equally many images each; then the
// slope of the loss that UA-GAN makes of the slopes -s(-y) of their own.
double slope_of_mixture(const std::vector<float>& logits) {
  std::vector<MergeRow> group;
  for (const float& logit : logits) group.push_back(row(0, 600, {&logit, 1}));
  const auto factors = merge_factors({aggregate_ua_gan}, group, 1);
  double slope = 0;
  for (std::size_t i = 0; i < logits.size(); ++i)
    slope += static_cast<double>(factors[i]) /
             static_cast<double>(logits.size()) /
             (1 + std::exp(static_cast<double>(logits[i])));
  return slope;
}

TEST_CASE("UA-GAN's slope is that of the mixture's discriminator",
          "[aggregation]") {
  // The optimum of ten peers with a class each, for an image that is as likely
  // as in the data: its own peer's D is 10/11, the others' 0, the mixture's
  // 1/2. The mean of the peers' own slopes would be 0.09 for the first.
  std::vector<float> logits(10, -40.0F);
  logits[3] = std::log(10.0F);
  CHECK(slope_of_mixture(logits) == Approx(0.5));
  // The more certain the peers are, the less there is to learn.
  CHECK(slope_of_mixture({3, 3}) == Approx(1 / (1 + std::exp(3.0))));
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
    if (rule == aggregate_ua_gan) continue;
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
    for (std::size_t s = 0; s < 2 && rule != aggregate_ua_gan; ++s)
      CHECK(factors[s] + factors[2 + s] + factors[4 + s] == Approx(3));
  }
}

TEST_CASE("with a bound on logits no peer decides alone", "[aggregation]") {
  // Nine peers judge alike, and one claims whatever would weigh most.
  const AggregationRule rule = GENERATE(as<AggregationRule>(), aggregate_gman,
                                        aggregate_f2a, aggregate_ua_gan);
  const float claim = rule == aggregate_gman ? -1e6F : 1e6F;
  const float usual = -1;
  std::vector<MergeRow> group(9, row(0, 600, {&usual, 1}));
  group.push_back(row(0, 600, {&claim, 1}));
  const auto factors = merge_factors({rule}, group, 1);
  CHECK(factors[0] == 0);
  const auto bounded = merge_factors({rule, {.logit_bound = 2}}, group, 1);
  for (std::size_t i = 0; i < 9; ++i) CHECK(bounded[i] > 0.4F);
  if (rule == aggregate_ua_gan) {  // its factors do not sum to 10
    // The claim is taken as 1: its share of the odds, times the slope at the
    // mixture's logit by that at its own.
    const double odds = 9 * std::exp(-1) + std::exp(1);
    CHECK(bounded[9] == Approx(10 * std::exp(1) / odds * (1 + std::exp(1)) /
                               (1 + odds / 10)));
    return;
  }
  CHECK(bounded[9] == Approx(10 * std::exp(2) / (9 + std::exp(2))));
  // Who is within the bound weighs as without.
  const float sure = usual + 1.5F;
  group.back() = row(0, 600, {&sure, 1});
  CHECK(merge_factors({rule, {.logit_bound = 2}}, group, 1) ==
        merge_factors({rule}, group, 1));
}

TEST_CASE("UA-GAN makes no row far longer than the others are",
          "[aggregation]") {
  // A peer with a single image claims to be sure, which a feedback as long as
  // the others' belies: it would be multiplied by 1e4.
  const float claim = 1e6, usual = -1;
  std::vector<MergeRow> group(3, row(0, 6000, {&usual, 1}));
  group.push_back(row(0, 1, {&claim, 1}));
  const auto factors = merge_factors({aggregate_ua_gan}, group, 1);
  CHECK(factors[3] == Approx(100 * 4));
}

TEST_CASE("a peer alone in its group counts as in the mean", "[aggregation]") {
  const float logit = -50;
  const std::vector<MergeRow> judgements{row(0, 1, {&logit, 1}),
                                         row(1, 9, {&logit, 1})};
  for (const AggregationRule rule : kRules)
    CHECK(merge_factors({rule, 1}, judgements, 1) == std::vector<float>{1, 1});
}

}  // namespace mdgan::test
