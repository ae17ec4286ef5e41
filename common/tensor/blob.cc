#include "common/tensor/blob.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <new>
#include <utility>

#include "common/base/result.h"

namespace mdgan {
namespace {

// The size of a cache line, which is enough for every vector instruction.
constexpr std::align_val_t kAlignment{64};

// Masks of a float32's bits.
constexpr std::uint32_t kExponent = 0x7F800000U;
constexpr std::uint32_t kExponentOne = 0x00800000U;
constexpr std::uint32_t kSign = 0x80000000U;

}  // namespace

NewBlob make_blob(protocol::TensorMeta meta) {
  std::size_t size = protocol::bytes_of(meta.dtype);
  for (const std::uint64_t dim : meta.dims) size *= dim;
  const std::shared_ptr<std::byte> storage(
      static_cast<std::byte*>(::operator new(size, kAlignment)),
      [](std::byte* p) { ::operator delete(p, kAlignment); });
  return {{std::move(meta), {storage.get(), size}, storage},
          {storage.get(), size}};
}

Blob copy_blob(protocol::TensorMeta meta, std::span<const std::byte> bytes) {
  NewBlob copy = make_blob(std::move(meta));
  MDGAN_CHECK(copy.bytes.size() == bytes.size());
  if (!bytes.empty())
    std::memcpy(copy.bytes.data(), bytes.data(), bytes.size());
  return std::move(copy.blob);
}

bool is_finite(const Blob& blob) {
  MDGAN_CHECK(blob.meta.dtype == protocol::DType::kFloat32);
  // The exponent bits of infinity and NaN are all ones, so that adding one to
  // the exponent carries into the sign bit. There is no branch and no floating
  // point, so that the compiler can vectorise the loop.
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

namespace {

// Non-negative floats are ordered as their bits are, with infinity and NaN
// above all numbers.
bool is_within_bfloat16(const Blob& blob, float limit) {
  const auto most =
      static_cast<int>(std::bit_cast<std::uint32_t>(limit) >> 16U);
  const auto* values =
      reinterpret_cast<const std::uint16_t*>(blob.bytes.data());
  const std::size_t n = blob.bytes.size() / sizeof(std::uint16_t);
  int outside = 0;
  for (std::size_t i = 0; i < n; ++i)
    outside |= static_cast<int>((values[i] & 0x7FFF) > most);
  return outside == 0;
}

}  // namespace

bool is_within(const Blob& blob, float limit) {
  if (blob.meta.dtype == protocol::DType::kBfloat16)
    return is_within_bfloat16(blob, limit);
  MDGAN_CHECK(blob.meta.dtype == protocol::DType::kFloat32);
  const auto* values = reinterpret_cast<const float*>(blob.bytes.data());
  const std::size_t n = blob.bytes.size() / sizeof(float);
  int outside = 0;  // no early exit, so that the loop is vectorised
  for (std::size_t i = 0; i < n; ++i)
    outside |= static_cast<int>(!(std::fabs(values[i]) <= limit));
  return outside == 0;
}

}  // namespace mdgan
