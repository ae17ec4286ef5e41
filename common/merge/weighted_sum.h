// The loops of the linear rules: a row is added, in place, to its group's sum.
#pragma once

#include <span>

#include "common/merge/merge.h"

namespace mdgan {

// sum += factor * row, each product and sum rounded together (fused
// multiply-add), on every processor.
void add_scaled(std::span<float> sum, const MergeRow& row, float factor);

// sum += factors[s] * row for the values of sample s; the product is rounded
// before it is added. REQUIRES: a row's samples have equally many values.
void add_scaled_samples(std::span<float> sum, const MergeRow& row,
                        std::span<const float> factors);

}  // namespace mdgan
