// A blob's float32 values. No LibTorch.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "common/base/result.h"
#include "common/tensor/blob.h"

namespace mdgan {

// A view of the blob's values, which is empty if the blob is.
// REQUIRES: empty, or dtype float32; aligned for floats.
inline std::span<const float> floats_of(const Blob& blob) {
  MDGAN_CHECK(blob.empty() || blob.meta.dtype == protocol::DType::kFloat32);
  return {reinterpret_cast<const float*>(blob.bytes.data()),
          blob.bytes.size() / sizeof(float)};
}

// The same of float64 values, in a copy: the blob may have any alignment.
// REQUIRES: dtype float64.
std::vector<double> doubles_of(const Blob& blob);

// Whether any value is below zero: the square root of a negative second moment
// would make the weights NaN. The blob may have any alignment.
// REQUIRES: dtype float32.
bool has_negative(const Blob& blob);

}  // namespace mdgan
