// Lengths of rows and distances between them. The sums are double and made in
// one order, so the results are the same on every processor.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "common/tensor/blob.h"

namespace mdgan {

// The Euclidean norm of all values. REQUIRES: a blob as MergeRow has them.
double euclidean_norm(std::span<const float> values);
double euclidean_norm(const Blob& values, const Blob& scales = {});

// |a - b|^2. REQUIRES: equally many.
double squared_distance(std::span<const float> a, std::span<const float> b);

// The median; for an even number of values it is the mean of the middle two.
// REQUIRES: at least one value, none NaN.
double median_of(std::vector<double> values);

}  // namespace mdgan
