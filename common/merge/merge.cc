#include "common/merge/merge.h"

#include <algorithm>

#include "common/base/result.h"
#include "common/tensor/quantise.h"

namespace mdgan {

double MergeGroup::weight() const {
  double total = 0;
  for (const MergeRow* row : rows) total += row->weight;
  return total;
}

std::vector<PeerVerdict> merge(AggregationRule rule, double temperature,
                               std::span<const MergeRow> rows,
                               std::span<const std::span<float>> sums) {
  std::vector<std::vector<const MergeRow*>> groups(sums.size());
  std::vector<std::vector<std::size_t>> places(sums.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    MDGAN_CHECK(rows[i].group < sums.size());
    groups[rows[i].group].push_back(&rows[i]);
    places[rows[i].group].push_back(i);
  }
  std::vector<PeerVerdict> result(rows.size());
  std::vector<PeerVerdict> verdicts;
  for (std::size_t g = 0; g < sums.size(); ++g) {
    std::ranges::fill(sums[g], 0.0F);
    if (groups[g].empty()) continue;
    verdicts.clear();
    for (const MergeRow* row : groups[g]) verdicts.push_back({row->peer});
    rule({groups[g], temperature, sums[g], verdicts});
    for (std::size_t i = 0; i < verdicts.size(); ++i)
      result[places[g][i]] = std::move(verdicts[i]);
  }
  return result;
}

std::vector<float> decoded(const MergeRow& row) {
  std::vector<float> values(row.values.bytes.size() /
                            protocol::bytes_of(row.values.meta.dtype));
  add_to(values, row.values, row.scales);
  return values;
}

}  // namespace mdgan
