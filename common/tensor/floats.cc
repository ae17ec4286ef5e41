#include "common/tensor/floats.h"

#include <cstring>

namespace mdgan {

std::vector<double> doubles_of(const Blob& blob) {
  MDGAN_CHECK(blob.meta.dtype == protocol::DType::kFloat64);
  std::vector<double> values(blob.bytes.size() / sizeof(double));
  if (!values.empty())
    std::memcpy(values.data(), blob.bytes.data(), blob.bytes.size());
  return values;
}

bool has_negative(const Blob& blob) {
  MDGAN_CHECK(blob.meta.dtype == protocol::DType::kFloat32);
  int found = 0;  // no early exit, so that the loop is vectorised
  for (std::size_t at = 0; at < blob.bytes.size(); at += sizeof(float)) {
    float value = 0;
    std::memcpy(&value, blob.bytes.data() + at, sizeof value);
    found |= static_cast<int>(value < 0);
  }
  return found != 0;
}

}  // namespace mdgan
