// A dense layer's forward pass, and the gradient through its activation.
// Included like dense_kernel_impl.h, once for each instruction set.
#pragma once

#include <cstddef>

#include "common/kernels/dense/dense_kernel.h"
#include "common/kernels/dense/dense_tiles.h"
#include "common/kernels/dense/dense_vector.h"

namespace mdgan {
namespace {

constexpr std::size_t kLineBytes = 64;  // a cache line

// Prefetches the weights that come next, a little at a time: all of them at
// once would hold up the present loads, and the processor's own prefetcher
// stops at a page. They go to the second-level cache, as the first is full of
// samples.
template <std::size_t kLines>
struct Ahead {
  const char* next;
  std::size_t step;  // bytes, at most kLines lines

  MDGAN_INLINE void fetch() {
#pragma GCC unroll 8
    for (std::size_t i = 0; i < kLines; ++i)
      __builtin_prefetch(next + i * kLineBytes, /*rw=*/0, /*locality=*/2);
    next += step;
  }
};

// Computes y of `kSamples` samples and kUnits units (four or one), summed over
// all of `in`.
template <std::size_t kSamples, std::size_t kUnits, class Fetch>
MDGAN_INLINE void forward_tile(const DenseSize& size, const float* x,
                               const float* w, const float* b, float slope,
                               float* y, Fetch& ahead) {
  V sum[kSamples][kUnits] = {};
  const std::size_t whole = size.in / kLanes * kLanes;
  for (std::size_t i = 0; i < whole; i += kLanes) {
    ahead.fetch();
    V wide[kUnits];
#pragma GCC unroll 8
    for (std::size_t u = 0; u < kUnits; ++u)
      wide[u] = load(w + u * size.in + i);
#pragma GCC unroll 8
    for (std::size_t s = 0; s < kSamples; ++s) {
      const V value = load(x + s * size.in + i);
#pragma GCC unroll 8
      for (std::size_t u = 0; u < kUnits; ++u) sum[s][u] += value * wide[u];
    }
  }
  if (const std::size_t rest = size.in - whole; rest > 0) {
    V wide[kUnits];
#pragma GCC unroll 8
    for (std::size_t u = 0; u < kUnits; ++u)
      wide[u] = load_part(w + u * size.in + whole, rest);
#pragma GCC unroll 8
    for (std::size_t s = 0; s < kSamples; ++s) {
      const V value = load_part(x + s * size.in + whole, rest);
#pragma GCC unroll 8
      for (std::size_t u = 0; u < kUnits; ++u) sum[s][u] += value * wide[u];
    }
  }
#pragma GCC unroll 8
  for (std::size_t s = 0; s < kSamples; ++s) {
    if constexpr (kUnits == 4) {
      V4 result = sums(sum[s][0], sum[s][1], sum[s][2], sum[s][3]);
      if (b != nullptr) result += *reinterpret_cast<const UnalignedV4*>(b);
      result = result > 0 ? result : result * slope;
      *reinterpret_cast<UnalignedV4*>(y + s * size.out) = result;
    } else {
      const V4 folded = fold(sum[s][0]);
      // Adds in the order of sums(), for the same bits.
      float result = (folded[0] + folded[2]) + (folded[1] + folded[3]);
      if (b != nullptr) result += b[0];
      y[s * size.out] = result > 0 ? result : result * slope;
    }
  }
}

template <std::size_t kUnits>
MDGAN_INLINE void forward_units(const DenseSize& size, const float* x,
                                const float* w, const float* b, float slope,
                                float* y) {
  // The weights of the next units are fetched in as many parts as there are
  // tiles.
  constexpr std::size_t kBytes = kUnits * sizeof(V);
  constexpr std::size_t kLines = (kBytes + kLineBytes - 1) / kLineBytes;
  const auto tiles = [&](auto ahead) MDGAN_INLINE_LAMBDA {
    ahead.next = reinterpret_cast<const char*>(w + kUnits * size.in);
    ahead.step = kBytes / tiles_of(size.n);
    in_tiles(size.n, [&](std::size_t s, auto samples) MDGAN_INLINE_LAMBDA {
      forward_tile<samples.value, kUnits>(size, x + s * size.in, w, b, slope,
                                          y + s * size.out, ahead);
    });
  };
  if (tiles_of(size.n) >= kLines)
    tiles(Ahead<1>{});
  else
    tiles(Ahead<kLines>{});
}

void forward(DenseSize size, Range units, const float* x, const float* w,
             const float* b, float slope, float* y) {
  for (std::size_t s = 0; s < size.n; s += kPanel) {
    const DenseSize panel{least(kPanel, size.n - s), size.in, size.out};
    const float* from = x + s * size.in;
    float* to = y + s * size.out;
    std::size_t o = units.begin;
    for (; o + 4 <= units.end; o += 4)
      forward_units<4>(panel, from, w + o * size.in, b == nullptr ? b : b + o,
                       slope, to + o);
    for (; o < units.end; ++o)
      forward_units<1>(panel, from, w + o * size.in, b == nullptr ? b : b + o,
                       slope, to + o);
  }
}

void through_leaky(std::size_t n, const float* output, float slope,
                   float* gradient) {
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const V g = load(gradient + i);
    store(gradient + i, load(output + i) > 0 ? g : g * slope);
  }
  for (; i < n; ++i) gradient[i] *= output[i] > 0 ? 1.0F : slope;
}

}  // namespace
}  // namespace mdgan
