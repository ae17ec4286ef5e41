#include "common/merge/bounded_logits.h"

#include <algorithm>

#include "common/base/result.h"
#include "common/merge/norms.h"

namespace mdgan {

std::vector<double> bounded_logits(const MergeGroup& group) {
  const std::size_t samples = group.rows.front()->logits.size();
  MDGAN_CHECK(samples > 0);
  std::vector<double> logits;
  logits.reserve(group.rows.size() * samples);
  for (const MergeRow* row : group.rows) {
    MDGAN_CHECK(row->logits.size() == samples);
    logits.insert(logits.end(), row->logits.begin(), row->logits.end());
  }
  const double most = group.parameters.logit_bound;
  if (most == 0) return logits;
  std::vector<double> of_sample(group.rows.size());
  for (std::size_t s = 0; s < samples; ++s) {
    for (std::size_t i = 0; i < of_sample.size(); ++i)
      of_sample[i] = logits[i * samples + s];
    const double median = median_of(of_sample);
    for (std::size_t i = 0; i < of_sample.size(); ++i)
      logits[i * samples + s] =
          std::clamp(of_sample[i], median - most, median + most);
  }
  return logits;
}

}  // namespace mdgan
