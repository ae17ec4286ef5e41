// The rules by which peers' answers are merged, and their names: those of the
// option `aggregate`, whose parser and help are made from this table. A new
// rule is a file with its function and a row here.
#pragma once

#include <array>
#include <string_view>
#include <utility>

#include "common/merge/merge.h"
#include "protocol/training_spec.h"  // name_of(kAggregationRules, rule)

namespace mdgan {

// The rules are linear: the value that stands for a group is the mean of its
// rows, each weighted by w_n, for each sample anew. y is D_n's logit for the
// sample, m_n the size of its shard, t the temperature. Only the weights depend
// on y: what a peer's loss does with it stays in that peer's feedback. The
// results are finite whatever the logits.
// REQUIRES, of those with y: all rows of a group have equally many logits.

// w_n = 1 (Hardy et al. 2019).
void aggregate_mean(const MergeGroup& group);
// m_n (as federated averaging: McMahan et al. 2017).
void aggregate_by_shard_size(const MergeGroup& group);
// exp(-t*y), the harshest judge counts most (GMAN: Durugkar, Gemp, Mahadevan
// 2017).
void aggregate_gman(const MergeGroup& group);
// exp(t*y), the most forgiving one (F2A: Yonetani et al. 2019).
void aggregate_f2a(const MergeGroup& group);
// m_n * exp(t*y); with t = 1 the odds m_n * D/(1-D), by which the mixture of
// the peers' data has one discriminator (UA-GAN: Zhang et al. 2021).
void aggregate_ua_gan(const MergeGroup& group);

inline constexpr std::array<std::pair<AggregationRule, std::string_view>, 5>
    kAggregationRules{{
        {aggregate_mean, "mean"},
        {aggregate_by_shard_size, "shard-size"},
        {aggregate_gman, "gman"},
        {aggregate_f2a, "f2a"},
        {aggregate_ua_gan, "ua-gan"},
    }};

// What a run's options say.
struct Aggregation {
  AggregationRule rule = aggregate_mean;
  double temperature = 1;  // t >= 0, finite; 0: all logits are equal
};

}  // namespace mdgan
