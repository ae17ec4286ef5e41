// The gradient of a dense layer's input.
// Included like dense_kernel_impl.h, once for each instruction set.
#pragma once

#include <cstddef>

#include "common/kernels/dense/dense_kernel.h"
#include "common/kernels/dense/dense_tiles.h"
#include "common/kernels/dense/dense_vector.h"

namespace mdgan {
namespace {

// Units summed in registers between two visits to dx.
constexpr std::size_t kUnitBlock = 32;

// Adds the part of `units` units to dx of kSamples samples and kVectors vectors
// (the last of which has `count` lanes if not kWhole). With kFetch it
// prefetches the weights of the inputs that come next, which lie in as many
// pages as there are units.
template <std::size_t kSamples, std::size_t kVectors, bool kWhole, bool kFetch>
MDGAN_INLINE void input_tile(const DenseSize& size, std::size_t units,
                             const float* dy, const float* w, float* dx,
                             bool first, std::size_t count) {
  V sum[kSamples][kVectors];
#pragma GCC unroll 8
  for (std::size_t s = 0; s < kSamples; ++s)
#pragma GCC unroll 8
    for (std::size_t v = 0; v < kVectors; ++v)
      sum[s][v] =
          first ? V{} : load_some<kWhole>(dx + s * size.in + v * kLanes, count);
  for (std::size_t u = 0; u < units; ++u) {
    V wide[kVectors];
#pragma GCC unroll 8
    for (std::size_t v = 0; v < kVectors; ++v) {
      wide[v] = load_some<kWhole>(w + u * size.in + v * kLanes, count);
      if (kFetch && v * sizeof(V) % kLineBytes == 0)
        __builtin_prefetch(w + u * size.in + (kVectors + v) * kLanes);
    }
#pragma GCC unroll 8
    for (std::size_t s = 0; s < kSamples; ++s) {
      const V value = splat(dy[s * size.out + u]);
#pragma GCC unroll 8
      for (std::size_t v = 0; v < kVectors; ++v) sum[s][v] += value * wide[v];
    }
  }
#pragma GCC unroll 8
  for (std::size_t s = 0; s < kSamples; ++s)
#pragma GCC unroll 8
    for (std::size_t v = 0; v < kVectors; ++v)
      store_some<kWhole>(dx + s * size.in + v * kLanes, sum[s][v], count);
}

template <std::size_t kVectors, bool kWhole>
MDGAN_INLINE void input_samples(const DenseSize& size, std::size_t units,
                                const float* dy, const float* w, float* dx,
                                bool first, std::size_t count) {
  in_tiles(size.n, [&](std::size_t s, auto samples) MDGAN_INLINE_LAMBDA {
    if (s == 0)
      input_tile<samples.value, kVectors, kWhole, true>(
          size, units, dy + s * size.out, w, dx + s * size.in, first, count);
    else
      input_tile<samples.value, kVectors, kWhole, false>(
          size, units, dy + s * size.out, w, dx + s * size.in, first, count);
  });
}

void input_gradient(DenseSize size, Range inputs, const float* dy,
                    const float* w, float* dx) {
  for (std::size_t s = 0; s < size.n; s += kPanel) {
    const DenseSize panel{least(kPanel, size.n - s), size.in, size.out};
    const float* from = dy + s * size.out;
    float* to = dx + s * size.in;
    for (std::size_t o = 0; o < size.out; o += kUnitBlock) {
      const std::size_t units = least(kUnitBlock, size.out - o);
      const float* block = w + o * size.in;
      std::size_t i = inputs.begin;
      for (; i + 4 * kLanes <= inputs.end; i += 4 * kLanes)
        input_samples<4, true>(panel, units, from + o, block + i, to + i,
                               o == 0, kLanes);
      for (; i + kLanes <= inputs.end; i += kLanes)
        input_samples<1, true>(panel, units, from + o, block + i, to + i,
                               o == 0, kLanes);
      if (i < inputs.end)
        input_samples<1, false>(panel, units, from + o, block + i, to + i,
                                o == 0, inputs.end - i);
    }
  }
}

}  // namespace
}  // namespace mdgan
