#include "common/train/aggregation.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "common/base/result.h"

namespace mdgan {
namespace {

// The logarithm of a weight, up to a summand that the group shares.
double log_weight(const Aggregation& how, const Judgement& judgement,
                  std::size_t sample) {
  const auto y = [&] {
    return how.temperature * static_cast<double>(judgement.logits[sample]);
  };
  const auto log_size = [&] {
    return std::log(std::max(judgement.shard_size, 1.0));
  };
  switch (how.rule) {
    case AggregationRule::kMean:
      break;
    case AggregationRule::kShardSize:
      return log_size();
    case AggregationRule::kGman:
      return -y();
    case AggregationRule::kF2a:
      return y();
    case AggregationRule::kUaGan:
      return y() + log_size();
  }
  return 0;
}

}  // namespace

std::vector<float> aggregation_factors(const Aggregation& aggregation,
                                       std::span<const Judgement> judgements,
                                       std::size_t samples) {
  std::map<std::uint32_t, std::vector<std::size_t>> groups;
  for (std::size_t i = 0; i < judgements.size(); ++i) {
    MDGAN_CHECK(aggregation.rule == AggregationRule::kMean ||
                aggregation.rule == AggregationRule::kShardSize ||
                judgements[i].logits.size() == samples);
    groups[judgements[i].group].push_back(i);
  }
  std::vector<float> factors(judgements.size() * samples);
  std::vector<double> weights;
  for (const auto& [batch, members] : groups) {
    const auto size = static_cast<double>(members.size());
    for (std::size_t s = 0; s < samples; ++s) {
      weights.clear();
      for (const std::size_t i : members)
        weights.push_back(log_weight(aggregation, judgements[i], s));
      // Relative to the largest, which becomes 1: nothing overflows, and the
      // sum is at least that.
      const double largest = *std::max_element(weights.begin(), weights.end());
      double sum = 0;
      for (double& w : weights) sum += w = std::exp(w - largest);
      for (std::size_t m = 0; m < members.size(); ++m)
        factors[members[m] * samples + s] =
            static_cast<float>(size * weights[m] / sum);
    }
  }
  return factors;
}

}  // namespace mdgan
