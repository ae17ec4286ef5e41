// A group's rows as float32, and means of them.
#pragma once

#include <span>
#include <vector>

#include "common/merge/merge.h"

namespace mdgan {

// Views of float32 rows, and copies of others. The group outlives it.
class RowValues {
 public:
  explicit RowValues(const MergeGroup& group);
  const std::vector<std::span<const float>>& rows() const { return rows_; }

 private:
  std::vector<std::vector<float>> copies_;
  std::vector<std::span<const float>> rows_;
};

// Adds to group.sum weight() times the mean, for each coordinate, of what is
// left of the rows without their `trim` lowest and `trim` highest values.
// REQUIRES: 2 * trim < number of rows.
void add_trimmed_mean(const MergeGroup& group, std::size_t trim,
                      std::span<const std::span<const float>> rows);

}  // namespace mdgan
