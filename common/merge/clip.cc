#include "common/base/result.h"
#include "common/merge/rules.h"
#include "common/merge/weighted_sum.h"
#include "common/tensor/quantise.h"

namespace mdgan {

void aggregate_clip(const MergeGroup& group) {
  MDGAN_CHECK(group.norms.size() == group.rows.size());
  const double most = group.parameters.clip * group.median_norm;
  for (std::size_t i = 0; i < group.rows.size(); ++i) {
    const MergeRow& row = *group.rows[i];
    if (group.norms[i] <= most) {
      add_to(group.sum, row.values, row.scales);
      continue;
    }
    add_scaled(group.sum, row, static_cast<float>(most / group.norms[i]));
    group.verdicts[i].verdict = Verdict::kClipped;
    group.verdicts[i].reason = "longer than the round's median allows";
  }
}

}  // namespace mdgan
