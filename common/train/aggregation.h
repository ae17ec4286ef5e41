// Who weighs how much where the feedback of several peers becomes one. Peers
// are compared within a group: those that saw the same generated batch X^g.
//
// Pure: no tensors.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/training_spec.h"  // name_of(kAggregationNames, rule)

namespace mdgan {

// The weights w_n of a group's peers; y is D_n's logit for a sample, m_n the
// size of its shard, t the temperature. Only the weights depend on y: what a
// peer's loss does with it stays in that peer's feedback.
enum class AggregationRule {
  kMean,       // 1 (Hardy et al. 2019)
  kShardSize,  // m_n (as federated averaging: McMahan et al. 2017)
  kGman,       // exp(-t*y), the harshest judge counts most (GMAN: Durugkar,
               // Gemp, Mahadevan 2017)
  kF2a,        // exp(t*y), the most forgiving one (F2A: Yonetani et al. 2019)
  kUaGan,      // m_n * exp(t*y); with t = 1 the odds m_n * D/(1-D), by which
               // the mixture of the peers' data has one discriminator (UA-GAN:
               // Zhang et al. 2021)
};
inline constexpr std::array<std::pair<AggregationRule, std::string_view>, 5>
    kAggregationNames{{
        {AggregationRule::kMean, "mean"},
        {AggregationRule::kShardSize, "shard-size"},
        {AggregationRule::kGman, "gman"},
        {AggregationRule::kF2a, "f2a"},
        {AggregationRule::kUaGan, "ua-gan"},
    }};

struct Aggregation {
  AggregationRule rule = AggregationRule::kMean;
  double temperature = 1;  // t >= 0, finite; 0: all logits are equal
};

// What one peer's weights depend on.
struct Judgement {
  std::uint32_t group = 0;        // the batch it judged
  double shard_size = 1;          // m_n; below 1 counts as 1
  std::span<const float> logits;  // y of each sample, finite
};

// Row i, [i * samples, (i + 1) * samples), has the factors by which judgement
// i's feedback for each sample is multiplied: its weight relative to its
// group's mean weight. So they sum to the group's size, 1 throughout is the
// mean, and the mean over all the peers of the weighted feedback gives each
// group the say that its size has. Finite whatever the logits.
// REQUIRES: all logits have `samples` values, but for kMean and kShardSize.
std::vector<float> aggregation_factors(const Aggregation& aggregation,
                                       std::span<const Judgement> judgements,
                                       std::size_t samples);

}  // namespace mdgan
