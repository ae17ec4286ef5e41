// The rules by which peers' answers are merged, and their names: those of the
// option `aggregate`, whose parser and help are made from this table. A new
// rule is a file with its function and a row here.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

#include "common/merge/merge.h"
#include "protocol/training_spec.h"  // name_of(kAggregationRules, rule)

namespace mdgan {

// These rules are linear: the value that stands for a group is the sum of its
// rows, each weighted by w_n, for each sample anew. y_n is D_n's logit for the
// sample, m_n the size of its shard, t the temperature. But for UA-GAN the
// weights sum to 1, are proportional to what is said below, and what a peer's
// loss does with y_n stays in that peer's feedback. The results are finite
// whatever the logits; what a peer says of its logits decides alone, unless
// MergeParameters::logit_bound is set.
// REQUIRES, of those with y: all rows of a group have equally many logits.

// w_n = 1 (Hardy et al. 2019).
void aggregate_mean(const MergeGroup& group);
// m_n (as federated averaging: McMahan et al. 2017).
void aggregate_by_shard_size(const MergeGroup& group);
// exp(-t*y_n), the harshest judge counts most (GMAN: Durugkar, Gemp, Mahadevan
// 2017).
void aggregate_gman(const MergeGroup& group);
// exp(t*y_n), the most forgiving one (F2A: Yonetani et al. 2019).
void aggregate_f2a(const MergeGroup& group);
// The feedback of the one discriminator of the mixture of the peers' data,
// whose odds are Phi = sum_n pi_n exp(y_n), pi_n = m_n / sum m (UA-GAN: Zhang
// et al. 2021): w_n = pi_n exp(y_n) / Phi * L'(log Phi) / L'(y_n), L being the
// generator's loss as a function of the logit; the last factor makes of the
// peer's slope the mixture's. A row that this would make longer than itself and
// than 100 times the group's median is shortened: its logits are not those that
// it was computed with.
// REQUIRES: a loss whose logits are log odds: non-saturating or saturating.
void aggregate_ua_gan(const MergeGroup& group);

// These bear rows that are not what the peers computed, up to f of a group's g,
// whatever they hold. They look at the values alone, and where the peers' data
// are not i.i.d. they discard minorities. f and the clip's multiple are those
// of MergeParameters. Sums are double, but for clip's, and in the rows' order;
// a group's value does not depend on that order but for the last bits.
// REQUIRES: rows of weight 1.

// The mean of the rows, of which those longer than the clip's multiple of the
// round's median norm are scaled down to it (norm clipping with the median of
// FLAME: Nguyen et al. 2022). Where no row is longer it is the mean, bit for
// bit. It bounds what a row can do; it does not refuse a wrong direction.
void aggregate_clip(const MergeGroup& group);
// The median of each coordinate; for an even number of rows it is the mean of
// the middle two. g >= 2f + 1 (Yin et al. 2018).
void aggregate_median(const MergeGroup& group);
// The mean of each coordinate without the f lowest and the f highest values.
// g >= 2f + 1 (Yin et al. 2018).
void aggregate_trimmed_mean(const MergeGroup& group);
// The row with the least sum of squared distances to its g - f - 2 nearest
// ones; of equals that of the lower PeerId. g >= 2f + 3 (Blanchard et al.
// 2017).
void aggregate_krum(const MergeGroup& group);
// The mean of the g - f - 2 rows that Krum likes best. g >= 2f + 3
// (El Mhamdi, Guerraoui, Rouault 2018).
void aggregate_multi_krum(const MergeGroup& group);

struct AggregationTraits {
  AggregationRule rule;
  std::string_view name;  // in configuration files
  // A group that is to bear f hostile rows has at least per_hostile * f +
  // beside: 1 for a rule that bears none, or bears any group's.
  std::uint32_t per_hostile = 0;
  std::uint32_t beside = 1;
};

inline constexpr auto kAggregations = std::to_array<AggregationTraits>({
    {aggregate_mean, "mean"},
    {aggregate_by_shard_size, "shard-size"},
    {aggregate_gman, "gman"},
    {aggregate_f2a, "f2a"},
    {aggregate_ua_gan, "ua-gan"},
    {aggregate_clip, "clip"},
    {aggregate_median, "median", 2, 1},
    {aggregate_trimmed_mean, "trimmed-mean", 2, 1},
    {aggregate_krum, "krum", 2, 3},
    {aggregate_multi_krum, "multi-krum", 2, 3},
});

inline constexpr auto kAggregationRules = [] {
  std::array<std::pair<AggregationRule, std::string_view>, kAggregations.size()>
      names;
  std::ranges::transform(kAggregations, names.begin(), [](const auto& row) {
    return std::pair(row.rule, row.name);
  });
  return names;
}();

// The rows without which a group does not bear f hostile ones by this rule; 1
// for a rule that is not in the table.
std::size_t smallest_group(AggregationRule rule, std::uint32_t hostile);

// What a run's options say.
struct Aggregation {
  AggregationRule rule = aggregate_mean;
  MergeParameters parameters = {};
};

}  // namespace mdgan
