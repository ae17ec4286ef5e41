#include "common/merge/rules.h"
#include "common/merge/weighted_sum.h"
#include "common/tensor/quantise.h"

namespace mdgan {

// Rows of weight 1, which all of MD-GAN's are, take the shorter way.
void aggregate_mean(const MergeGroup& group) {
  for (const MergeRow* row : group.rows)
    if (row->weight == 1)
      add_to(group.sum, row->values, row->scales);
    else
      add_scaled(group.sum, *row, static_cast<float>(row->weight));
}

}  // namespace mdgan
