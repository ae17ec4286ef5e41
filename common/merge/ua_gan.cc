// UA-GAN (Zhang et al. 2021): the feedback of one discriminator for the mixture
// of the peers' data, made of that of their own.

#include <algorithm>
#include <cmath>
#include <vector>

#include "common/base/result.h"
#include "common/merge/bounded_logits.h"
#include "common/merge/norms.h"
#include "common/merge/rules.h"
#include "common/merge/weighted_sum.h"

namespace mdgan {
namespace {

// Reached where a peer with a tiny share of the images is all but sure of an
// image that it holds for real; its own feedback is then as small.
constexpr double kMostFactor = 1e4;
// What the factors make of a row is no longer than the row itself, or than so
// many times the median of the group's rows. That is as much as any rule gets
// of a row at all (server/core/feedback_bound.h): beyond it Adam would remember
// a single one for thousands of rounds.
constexpr double kMostMultiple = 100;

double softplus(double x) {
  return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x)));
}

// log |dL/dy| of the generator's loss L at the logit y.
double log_slope(Loss loss, double y) {
  MDGAN_CHECK(loss == Loss::kNonSaturating || loss == Loss::kSaturating);
  return -softplus(loss == Loss::kNonSaturating ? y : -y);
}

// Scales down the factors of rows that they would make too long.
void bound_lengths(const MergeGroup& group, std::size_t samples,
                   std::span<float> factors) {
  // Without a factor above that of the mean no row is longer than it was.
  if (std::ranges::all_of(factors, [&](float factor) {
        return static_cast<double>(factor) <= group.weight();
      }))
    return;
  const std::size_t n = group.rows.size();
  std::vector<double> lengths(n);
  std::vector<double> weighted(n);
  for (std::size_t i = 0; i < n; ++i) {
    const std::vector<float> values = decoded(*group.rows[i]);
    const std::size_t each = values.size() / samples;
    double whole = 0;
    double sum = 0;
    for (std::size_t s = 0; s < samples; ++s) {
      const double norm =
          euclidean_norm(std::span(values).subspan(s * each, each));
      const double longer =
          norm * static_cast<double>(factors[i * samples + s]);
      whole += norm * norm;
      sum += longer * longer;
    }
    lengths[i] = std::sqrt(whole);
    weighted[i] = std::sqrt(sum) / group.weight();
  }
  const double usual = kMostMultiple * median_of(lengths);
  for (std::size_t i = 0; i < n; ++i) {
    const double most = std::max(lengths[i], usual);
    if (weighted[i] <= most) continue;
    for (float& factor : factors.subspan(i * samples, samples))
      factor =
          static_cast<float>(static_cast<double>(factor) * most / weighted[i]);
    group.verdicts[i].verdict = Verdict::kClipped;
    group.verdicts[i].reason = "what its logits make of it is too long";
  }
}

}  // namespace

void aggregate_ua_gan(const MergeGroup& group) {
  const std::size_t n = group.rows.size();
  const Loss loss = group.parameters.loss;
  const std::vector<double> logits = bounded_logits(group);
  const std::size_t samples = logits.size() / n;
  std::vector<float> factors(n * samples);
  std::vector<double> odds(n);
  for (std::size_t s = 0; s < samples; ++s) {
    double largest = logits[s];
    for (std::size_t i = 1; i < n; ++i)
      largest = std::max(largest, logits[i * samples + s]);
    double images = 0;
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const MergeRow& row = *group.rows[i];
      const double share = row.weight * std::max(row.shard_size, 1.0);
      images += share;
      sum += odds[i] = share * std::exp(logits[i * samples + s] - largest);
    }
    const double mixture = largest + std::log(sum / images);  // log Phi
    for (std::size_t i = 0; i < n; ++i) {
      // exp() of more than 700 would overflow; the odds are then 0.
      const double correction = std::exp(std::min(
          log_slope(loss, mixture) - log_slope(loss, logits[i * samples + s]),
          700.0));
      factors[i * samples + s] = static_cast<float>(
          std::min(group.weight() * (odds[i] / sum) * correction, kMostFactor));
    }
  }
  bound_lengths(group, samples, factors);
  for (std::size_t i = 0; i < n; ++i)
    add_scaled_samples(group.sum, *group.rows[i],
                       std::span(factors).subspan(i * samples, samples));
}

}  // namespace mdgan
