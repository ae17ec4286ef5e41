// The rules whose weights are known by their logarithms.

#include <algorithm>
#include <cmath>
#include <vector>

#include "common/merge/bounded_logits.h"
#include "common/merge/rules.h"
#include "common/merge/weighted_sum.h"

namespace mdgan {
namespace {

double log_size(const MergeRow& row) {
  return std::log(std::max(row.shard_size, 1.0));
}

// Row n's factor for a sample is its weight relative to the group's mean
// weight: the factors sum to the group's size, and 1 throughout is the mean.
// log_weight(n, sample) is the logarithm of a weight, up to a summand that
// the group shares.
template <typename LogWeight>
void add_by_softmax(const MergeGroup& group, std::size_t samples,
                    LogWeight log_weight) {
  const std::size_t n = group.rows.size();
  const double size = group.weight();
  std::vector<float> factors(n * samples);
  std::vector<double> weights(n);
  for (std::size_t s = 0; s < samples; ++s) {
    for (std::size_t i = 0; i < n; ++i) weights[i] = log_weight(i, s);
    // Relative to the largest, which becomes 1: nothing overflows, and the sum
    // is positive.
    const double largest = *std::max_element(weights.begin(), weights.end());
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i)
      sum += weights[i] =
          group.rows[i]->weight * std::exp(weights[i] - largest);
    for (std::size_t i = 0; i < n; ++i)
      factors[i * samples + s] = static_cast<float>(size * weights[i] / sum);
  }
  for (std::size_t i = 0; i < n; ++i)
    add_scaled_samples(group.sum, *group.rows[i],
                       std::span(factors).subspan(i * samples, samples));
}

// The weights are exp(t * logit).
void add_by_logits(const MergeGroup& group, double t) {
  const std::vector<double> logits = bounded_logits(group);
  const std::size_t samples = logits.size() / group.rows.size();
  add_by_softmax(group, samples, [&](std::size_t i, std::size_t s) {
    return t * logits[i * samples + s];
  });
}

}  // namespace

void aggregate_by_shard_size(const MergeGroup& group) {
  add_by_softmax(group, 1, [&](std::size_t i, std::size_t) {
    return log_size(*group.rows[i]);
  });
}

void aggregate_gman(const MergeGroup& group) {
  add_by_logits(group, -group.parameters.temperature);
}

void aggregate_f2a(const MergeGroup& group) {
  add_by_logits(group, group.parameters.temperature);
}

}  // namespace mdgan
