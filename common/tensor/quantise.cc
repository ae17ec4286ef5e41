// Compiled with -O3 and -fno-trapping-math, so that the loops are vectorised,
// and with -ffp-contract=off, so that every processor rounds alike.
#include "common/tensor/quantise.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <utility>

#include "common/base/result.h"

namespace mdgan {
namespace {

using protocol::DType;

constexpr std::uint32_t kMagnitude = 0x7FFFFFFFU;  // of a float32's bits
constexpr std::uint32_t kInfinity = 0x7F800000U;
constexpr float kSteps = 127;
// Below this, the scale would not be a normal float32.
constexpr float kSmallest = 2e-36F;

// --- loops: each reads and writes at its own index only ---------------------

void pack_images(std::size_t n, const float* __restrict in,
                 std::uint8_t* __restrict out) {
  for (std::size_t i = 0; i < n; ++i) {
    const float scaled = (in[i] + 1.0F) * 127.5F;
    const float least = scaled > 0.0F ? scaled : 0.0F;  // NaN: 0
    const float clamped = least < 255.0F ? least : 255.0F;
    // lround() would not be vectorised; clamped is not negative.
    out[i] = static_cast<std::uint8_t>(
        static_cast<int>(clamped + 0.5F));  // NOLINT(bugprone-incorrect-*)
  }
}

void unpack_images(std::size_t n, const std::uint8_t* __restrict in,
                   float* __restrict out) {
  for (std::size_t i = 0; i < n; ++i)
    out[i] = static_cast<float>(in[i]) / 127.5F - 1.0F;
}

void pack_bfloat16(std::size_t n, const float* __restrict in,
                   std::uint16_t* __restrict out) {
  for (std::size_t i = 0; i < n; ++i) {
    const auto bits = std::bit_cast<std::uint32_t>(in[i]);
    // Half of the lower part's range, less one where a tie must go down.
    const std::uint32_t rounded = bits + 0x7FFFU + (bits >> 16U & 1U);
    // Rounding could carry a NaN's payload into the sign: it is set anew.
    const bool nan = (bits & kMagnitude) > kInfinity;
    out[i] =
        static_cast<std::uint16_t>((nan ? bits | 0x00400000U : rounded) >> 16U);
  }
}

float widened(std::uint16_t value) {
  return std::bit_cast<float>(std::uint32_t{value} << 16U);
}

void unpack_bfloat16(std::size_t n, const std::uint16_t* __restrict in,
                     float* __restrict out) {
  for (std::size_t i = 0; i < n; ++i) out[i] = widened(in[i]);
}

// 24 bits that a value's place and the key decide, by a hash that is a
// permutation of the 32-bit numbers; cheaper than a generator's next() and,
// unlike it, vectorised.
std::uint32_t random24(std::uint32_t place, std::uint32_t low,
                       std::uint32_t high) {
  std::uint32_t x = place * 0x9E3779B9U + low;
  x = (x ^ (x >> 16U)) * 0x21F0AAADU;
  x = (x ^ (x >> 15U) ^ high) * 0x735A2D97U;
  return (x ^ (x >> 15U)) >> 8U;
}

// Values at places first, first + 1, ... of their tensor.
void pack_int8(std::size_t n, const float* __restrict in, float scale,
               std::uint32_t first, std::uint64_t key,
               std::int8_t* __restrict out) {
  const auto low = static_cast<std::uint32_t>(key);
  const auto high = static_cast<std::uint32_t>(key >> 32U);
  const float inverse = 1.0F / scale;
  for (std::size_t i = 0; i < n; ++i) {
    const float x = in[i] * inverse;
    const int truncated = static_cast<int>(x);
    const int floor =
        truncated - static_cast<int>(x < static_cast<float>(truncated));
    const float fraction = x - static_cast<float>(floor);
    const auto drawn = static_cast<std::int32_t>(
        random24(first + static_cast<std::uint32_t>(i), low, high));
    const float uniform = static_cast<float>(drawn) * 0x1.0p-24F;
    const int value = floor + static_cast<int>(uniform < fraction);
    // 1 / scale is rounded: the largest value may come out beyond 127.
    const int least = value > -127 ? value : -127;
    out[i] = static_cast<std::int8_t>(least < 127 ? least : 127);
  }
}

// The bits of the largest magnitude; those of a NaN are the largest of all.
std::int32_t largest_of(std::size_t n, const float* in) {
  std::int32_t most = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const auto bits = static_cast<std::int32_t>(
        std::bit_cast<std::uint32_t>(in[i]) & kMagnitude);
    most = bits > most ? bits : most;
  }
  return most;
}

void add_float32(std::size_t n, const float* __restrict in,
                 float* __restrict sum) {
  for (std::size_t i = 0; i < n; ++i) sum[i] += in[i];
}

void add_bfloat16(std::size_t n, const std::uint16_t* __restrict in,
                  float* __restrict sum) {
  for (std::size_t i = 0; i < n; ++i) sum[i] += widened(in[i]);
}

void add_int8(std::size_t n, const std::int8_t* __restrict in, float scale,
              float* __restrict sum) {
  for (std::size_t i = 0; i < n; ++i)
    sum[i] += scale * static_cast<float>(in[i]);
}

// --- blobs ------------------------------------------------------------------

std::size_t count_of(const Blob& blob) {
  return blob.bytes.size() / protocol::bytes_of(blob.meta.dtype);
}

template <typename T>
const T* values_of(const Blob& blob, DType dtype) {
  MDGAN_CHECK(blob.meta.dtype == dtype);
  return reinterpret_cast<const T*>(blob.bytes.data());
}

template <typename From, typename To>
Blob converted(const Blob& blob, DType from, DType to,
               void (*loop)(std::size_t, const From*, To*)) {
  const From* in = values_of<From>(blob, from);
  NewBlob result = make_blob({to, blob.meta.dims});
  loop(count_of(blob), in, reinterpret_cast<To*>(result.bytes.data()));
  return std::move(result.blob);
}

// The scale of a sample of which `largest` are the bits of the greatest
// magnitude.
float scale_of(std::int32_t largest) {
  if (largest >= static_cast<std::int32_t>(kInfinity))
    return std::numeric_limits<float>::quiet_NaN();
  const auto magnitude = std::bit_cast<float>(largest);
  return magnitude < kSmallest ? 0.0F : magnitude / kSteps;
}

}  // namespace

Blob images_to_uint8(const Blob& images) {
  return converted(images, DType::kFloat32, DType::kUint8, pack_images);
}

Blob images_from_uint8(const Blob& bytes) {
  return converted(bytes, DType::kUint8, DType::kFloat32, unpack_images);
}

Blob to_bfloat16(const Blob& values) {
  return converted(values, DType::kFloat32, DType::kBfloat16, pack_bfloat16);
}

Blob from_bfloat16(const Blob& values) {
  return converted(values, DType::kBfloat16, DType::kFloat32, unpack_bfloat16);
}

ScaledInt8 to_int8(const Blob& samples, std::uint64_t key) {
  MDGAN_CHECK(!samples.meta.dims.empty());
  const float* in = values_of<float>(samples, DType::kFloat32);
  const std::uint64_t rows = samples.meta.dims[0];
  const std::size_t each = rows == 0 ? 0 : count_of(samples) / rows;
  NewBlob values = make_blob({DType::kInt8, samples.meta.dims});
  NewBlob scales = make_blob({DType::kFloat32, {rows}});
  auto* out = reinterpret_cast<std::int8_t*>(values.bytes.data());
  auto* scale = reinterpret_cast<float*>(scales.bytes.data());
  for (std::uint64_t i = 0; i < rows; ++i) {
    const std::size_t first = i * each;
    scale[i] = scale_of(largest_of(each, in + first));
    if (scale[i] > 0)
      pack_int8(each, in + first, scale[i], static_cast<std::uint32_t>(first),
                key, out + first);
    else
      std::fill_n(out + first, each, std::int8_t{0});
  }
  return {std::move(values.blob), std::move(scales.blob)};
}

void add_to(std::span<float> sum, const Blob& values, const Blob& scales) {
  MDGAN_CHECK(count_of(values) == sum.size());
  if (values.meta.dtype == DType::kFloat32) {
    add_float32(sum.size(), values_of<float>(values, DType::kFloat32),
                sum.data());
    return;
  }
  if (values.meta.dtype == DType::kBfloat16) {
    add_bfloat16(sum.size(), values_of<std::uint16_t>(values, DType::kBfloat16),
                 sum.data());
    return;
  }
  const auto* in = values_of<std::int8_t>(values, DType::kInt8);
  const float* scale = values_of<float>(scales, DType::kFloat32);
  const std::size_t rows = count_of(scales);
  MDGAN_CHECK(rows > 0 && sum.size() % rows == 0);
  const std::size_t each = sum.size() / rows;
  for (std::size_t i = 0; i < rows; ++i)
    add_int8(each, in + i * each, scale[i], sum.data() + i * each);
}

}  // namespace mdgan
