// What a message says of a tensor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace mdgan::protocol {

// Wire values. Never renumber, never reuse: retire with a comment instead.
enum class DType : std::uint8_t {
  kFloat32 = 1,
  kInt32 = 2,
  kInt64 = 3,     // in files only: the codec refuses it
  kBfloat16 = 4,  // the upper half of a float32
  kUint8 = 5,
  kInt8 = 6,
  kFloat64 = 7,
};
constexpr std::size_t bytes_of(DType dtype) {
  switch (dtype) {
    case DType::kInt64:
    case DType::kFloat64:
      return 8;
    case DType::kBfloat16:
      return 2;
    case DType::kUint8:
    case DType::kInt8:
      return 1;
    case DType::kFloat32:
    case DType::kInt32:
      break;
  }
  return 4;
}

// Describes one tensor whose bytes follow the envelope as raw frames:
// little-endian, row-major, contiguous.
struct TensorMeta {
  DType dtype = DType::kFloat32;
  std::vector<std::uint64_t> dims;
  friend bool operator==(const TensorMeta&, const TensorMeta&) = default;
};

}  // namespace mdgan::protocol
