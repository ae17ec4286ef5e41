#include "common/merge/merge.h"

#include <algorithm>

#include "common/base/result.h"
#include "common/merge/norms.h"
#include "common/merge/rules.h"
#include "common/tensor/quantise.h"

namespace mdgan {

double MergeGroup::weight() const {
  double total = 0;
  for (const MergeRow* row : rows) total += row->weight;
  return total;
}

std::size_t smallest_group(AggregationRule rule, std::uint32_t hostile) {
  const auto row =
      std::ranges::find(kAggregations, rule, &AggregationTraits::rule);
  if (row == kAggregations.end()) return 1;
  return std::size_t{row->per_hostile} * hostile + row->beside;
}

MergeReport merge(AggregationRule rule, const MergeParameters& parameters,
                  std::span<const MergeRow> rows,
                  std::span<const std::span<float>> sums) {
  std::vector<std::vector<const MergeRow*>> groups(sums.size());
  std::vector<std::vector<std::size_t>> places(sums.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    MDGAN_CHECK(rows[i].group < sums.size());
    groups[rows[i].group].push_back(&rows[i]);
    places[rows[i].group].push_back(i);
  }
  const std::size_t least = smallest_group(rule, parameters.hostile);
  const auto is_clipped = [&](const auto& group) {
    return rule == aggregate_clip || (!group.empty() && group.size() < least);
  };
  std::vector<double> norms;  // of each row
  double median = 0;
  if (std::ranges::any_of(groups, is_clipped)) {
    for (const MergeRow& row : rows)
      norms.push_back(euclidean_norm(row.values, row.scales));
    if (!norms.empty()) median = median_of(norms);
  }

  MergeReport report;
  report.verdicts.resize(rows.size());
  std::vector<PeerVerdict> verdicts;
  std::vector<double> norms_of_group;
  for (std::size_t g = 0; g < sums.size(); ++g) {
    std::ranges::fill(sums[g], 0.0F);
    if (groups[g].empty()) continue;
    verdicts.clear();
    for (const MergeRow* row : groups[g]) verdicts.push_back({row->peer});
    AggregationRule applied = rule;
    norms_of_group.clear();
    if (is_clipped(groups[g])) {
      report.fallbacks += rule == aggregate_clip ? 0U : 1U;
      applied = aggregate_clip;
      for (const std::size_t place : places[g])
        norms_of_group.push_back(norms[place]);
    }
    applied({groups[g], parameters, norms_of_group, median, sums[g], verdicts});
    for (std::size_t i = 0; i < verdicts.size(); ++i)
      report.verdicts[places[g][i]] = std::move(verdicts[i]);
  }
  return report;
}

std::vector<float> decoded(const MergeRow& row) {
  std::vector<float> values(row.values.bytes.size() /
                            protocol::bytes_of(row.values.meta.dtype));
  add_to(values, row.values, row.scales);
  return values;
}

}  // namespace mdgan
