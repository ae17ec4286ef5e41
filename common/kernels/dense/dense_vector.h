// What the products of dense_kernel_impl.h do with vectors of kLanes floats.
// Like that file it is included once for each instruction set, with MDGAN_LANES
// set, and all of it is in an anonymous namespace.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstring>
#if defined(__SSE__)
#include <immintrin.h>
#endif

#include "common/kernels/vector.h"

namespace mdgan {
namespace {

constexpr std::size_t kLanes = MDGAN_LANES;
typedef float V4 __attribute__((vector_size(16)));
typedef float UnalignedV4
    __attribute__((vector_size(16), aligned(4), may_alias));
typedef float V8 __attribute__((vector_size(32)));

// x in all lanes. x + V{} would be an addition, which turns -0 into 0.
MDGAN_INLINE V splat(float x) { return x - V{}; }

// The first `count` lanes, fewer than kLanes; the others are zero. memcpy would
// be a call for each vector: a layer of 100 inputs, the length of the default
// latent, would take five times as long as one of 128.
#if MDGAN_LANES == 16
MDGAN_INLINE __mmask16 first_lanes(std::size_t count) {
  return static_cast<__mmask16>((1U << count) - 1);
}
MDGAN_INLINE V load_part(const float* p, std::size_t count) {
  return V(_mm512_maskz_loadu_ps(first_lanes(count), p));
}
MDGAN_INLINE void store_part(float* p, V v, std::size_t count) {
  _mm512_mask_storeu_ps(p, first_lanes(count), __m512(v));
}
#elif MDGAN_LANES == 8
MDGAN_INLINE __m256i first_lanes(std::size_t count) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)),
                            _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
MDGAN_INLINE V load_part(const float* p, std::size_t count) {
  return V(_mm256_maskload_ps(p, first_lanes(count)));
}
MDGAN_INLINE void store_part(float* p, V v, std::size_t count) {
  _mm256_maskstore_ps(p, first_lanes(count), __m256(v));
}
#else
MDGAN_INLINE V load_part(const float* p, std::size_t count) {
  V v{};
  std::memcpy(&v, p, count * sizeof(float));
  return v;
}
MDGAN_INLINE void store_part(float* p, V v, std::size_t count) {
  std::memcpy(p, &v, count * sizeof(float));
}
#endif
template <bool kWhole>
MDGAN_INLINE V load_some(const float* p, std::size_t count) {
  return kWhole ? load(p) : load_part(p, count);
}
template <bool kWhole>
MDGAN_INLINE void store_some(float* p, V v, std::size_t count) {
  if (kWhole)
    store(p, v);
  else
    store_part(p, v, count);
}

MDGAN_INLINE V root(V v) {
#if MDGAN_LANES == 16
  return V(_mm512_sqrt_ps(__m512(v)));
#elif MDGAN_LANES == 8
  return V(_mm256_sqrt_ps(__m256(v)));
#elif defined(__SSE__)
  return V(_mm_sqrt_ps(__m128(v)));
#else
  for (std::size_t i = 0; i < kLanes; ++i) v[i] = std::sqrt(v[i]);
  return v;
#endif
}

MDGAN_INLINE V4 fold(V v) {
#if MDGAN_LANES == 16
  const V8 half = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) +
                  __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
  return __builtin_shufflevector(half, half, 0, 1, 2, 3) +
         __builtin_shufflevector(half, half, 4, 5, 6, 7);
#elif MDGAN_LANES == 8
  return __builtin_shufflevector(v, v, 0, 1, 2, 3) +
         __builtin_shufflevector(v, v, 4, 5, 6, 7);
#else
  return v;
#endif
}

// The sums of the lanes of four vectors.
MDGAN_INLINE V4 sums(V a, V b, V c, V d) {
  const V4 a4 = fold(a), b4 = fold(b), c4 = fold(c), d4 = fold(d);
  const V4 ab = __builtin_shufflevector(a4, b4, 0, 4, 1, 5) +
                __builtin_shufflevector(a4, b4, 2, 6, 3, 7);
  const V4 cd = __builtin_shufflevector(c4, d4, 0, 4, 1, 5) +
                __builtin_shufflevector(c4, d4, 2, 6, 3, 7);
  return __builtin_shufflevector(ab, cd, 0, 1, 4, 5) +
         __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
}

}  // namespace
}  // namespace mdgan
