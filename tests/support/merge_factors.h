// The factors by which a linear rule multiplies the rows that it sums.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "common/merge/rules.h"
#include "common/tensor/blob.h"

namespace mdgan::test {

// Row i, [i * samples, (i + 1) * samples), has the factors of rows[i], found
// by merging rows of which each has a 1 where the others have zeros.
inline std::vector<float> merge_factors(const Aggregation& how,
                                        std::vector<MergeRow> rows,
                                        std::size_t samples) {
  const std::size_t n = rows.size();
  std::size_t groups = 0;
  for (std::size_t i = 0; i < n; ++i) {
    std::vector<float> values(samples * n);
    for (std::size_t s = 0; s < samples; ++s) values[s * n + i] = 1;
    rows[i].values = copy_blob({protocol::DType::kFloat32, {samples, n}},
                               std::as_bytes(std::span(values)));
    groups = std::max<std::size_t>(groups, rows[i].group + 1);
  }
  std::vector<std::vector<float>> sums(groups, std::vector<float>(samples * n));
  const std::vector<std::span<float>> places(sums.begin(), sums.end());
  (void)merge(how.rule, how.parameters, rows, places);
  std::vector<float> factors(n * samples);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t s = 0; s < samples; ++s)
      factors[i * samples + s] = sums[rows[i].group][s * n + i];
  return factors;
}

}  // namespace mdgan::test
