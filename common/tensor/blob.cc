#include "common/tensor/blob.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <new>
#include <utility>

#include "protocol/result.h"

namespace mdgan {
namespace {

// A cache line, and enough for every vector instruction.
constexpr std::align_val_t kAlignment{64};

// Of a float32's bits.
constexpr std::uint32_t kExponent = 0x7F800000U;
constexpr std::uint32_t kExponentOne = 0x00800000U;
constexpr std::uint32_t kSign = 0x80000000U;

}  // namespace

Blob copy_blob(protocol::TensorMeta meta, std::span<const std::byte> bytes) {
  const std::shared_ptr<std::byte> storage(
      static_cast<std::byte*>(::operator new(bytes.size(), kAlignment)),
      [](std::byte* p) { ::operator delete(p, kAlignment); });
  if (!bytes.empty()) std::memcpy(storage.get(), bytes.data(), bytes.size());
  return {std::move(meta), {storage.get(), bytes.size()}, storage};
}

bool is_finite(const Blob& blob) {
  MDGAN_CHECK(blob.meta.dtype == protocol::DType::kFloat32);
  // Infinity and NaN are the numbers whose exponent bits are all ones: adding
  // one to the exponent then carries into the sign's place. No branch and no
  // floating point, so that the compiler can vectorise it.
  const std::byte* p = blob.bytes.data();
  const std::size_t count = blob.bytes.size() / sizeof(float);
  std::uint32_t carried = 0;
  for (std::size_t i = 0; i < count; ++i) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, p + i * sizeof(float), sizeof(float));
    carried |= (bits & kExponent) + kExponentOne;
  }
  return (carried & kSign) == 0;
}

bool is_within(const Blob& blob, float limit) {
  const auto* values = reinterpret_cast<const float*>(blob.bytes.data());
  const std::size_t n = blob.bytes.size() / sizeof(float);
  int outside = 0;  // no early exit, so that the loop is vectorised
  for (std::size_t i = 0; i < n; ++i)
    outside |= static_cast<int>(!(std::fabs(values[i]) <= limit));
  return outside == 0;
}

}  // namespace mdgan
