// The kernels of dense_kernel.h in terms of vectors of kLanes floats. Included
// by one file for each instruction set, which sets MDGAN_LANES and is
// compiled for it; everything is in an anonymous namespace, so that nothing
// compiled for one instruction set is linked into another's place.
#pragma once

#include <cstddef>

#include "common/kernels/dense/dense_kernel.h"
#include "common/kernels/dense/dense_vector.h"

namespace mdgan {
namespace {

using Range = DenseRange;

// Registers: AVX-512 has 32, the others 16. A tile of the sums of kTile samples
// by four vectors fits, with what they are summed from.
constexpr std::size_t kTile = kLanes == 16 ? 6 : 3;
// So many samples at a time stay in the second-level cache while the weights
// stream by.
constexpr std::size_t kPanel = 48;

// Not std::min, whose instances the linker would share between the sets.
constexpr std::size_t least(std::size_t a, std::size_t b) {
  return a < b ? a : b;
}

constexpr std::size_t tiles_of(std::size_t n) {
  return (n + kTile - 1) / kTile;
}

template <std::size_t kSize>
struct Samples {
  static constexpr std::size_t value = kSize;
};

// Calls use(first sample, Samples<size>) for tiles that share n out evenly.
template <class Use>
MDGAN_INLINE void in_tiles(std::size_t n, const Use& use) {
  for (std::size_t s = 0; s < n;) {
    const std::size_t tiles = tiles_of(n - s);
    const std::size_t size = (n - s + tiles - 1) / tiles;
    switch (size) {
      case 1:
        use(s, Samples<1>{});
        break;
      case 2:
        use(s, Samples<2>{});
        break;
      case 3:
        use(s, Samples<3>{});
        break;
#if MDGAN_LANES == 16
      case 4:
        use(s, Samples<4>{});
        break;
      case 5:
        use(s, Samples<5>{});
        break;
      default:
        use(s, Samples<6>{});
#endif
    }
    s += size;
  }
}

// --- forward ----------------------------------------------------------------

constexpr std::size_t kLineBytes = 64;  // of a cache line

// What comes after, fetched a little at a time: all of it at once would hold up
// the loads of now, and the processor's own look-ahead stops at a page. Into
// the second-level cache: the first is full of samples.
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

// y of `kSamples` samples and four units (or one: kUnits), summed over all of
// `in`.
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
      // In the order of sums().
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
  // The units after these, in as many parts as there are tiles.
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

// --- the gradient of the input ----------------------------------------------

// Units summed in registers between two visits to dx.
constexpr std::size_t kUnitBlock = 32;

// Adds `units` units' part to dx of kSamples samples and kVectors vectors (the
// last of which has `count` lanes if not kWhole). With kFetch the weights of
// the inputs after these are fetched, which lie in as many pages as there are
// units.
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

// --- the gradient of the weights --------------------------------------------

// What becomes of a vector of gradients.
struct Write {
  float* dw;

  template <bool kWhole>
  MDGAN_INLINE void operator()(std::size_t at, V gradient,
                               std::size_t count) const {
    store_some<kWhole>(dw + at, gradient, count);
  }
};

struct StepAdam {
  const DenseAdamState& state;
  const AdamCoefficients& c;
  // How far on what comes after is fetched: by the units that follow these.
  // The processor does not follow so many streams of its own accord, and waits
  // for memory a third of the time.
  std::size_t ahead;

  template <bool kWhole>
  MDGAN_INLINE void operator()(std::size_t at, V g, std::size_t count) const {
    for (const float* p :
         {state.values, state.first_moment, state.second_moment})
      __builtin_prefetch(p + at + ahead, /*rw=*/1, /*locality=*/2);
    const V m = load_some<kWhole>(state.first_moment + at, count) * c.beta1 +
                g * c.one_minus_beta1;
    const V v = load_some<kWhole>(state.second_moment + at, count) * c.beta2 +
                g * g * c.one_minus_beta2;
    store_some<kWhole>(state.first_moment + at, m, count);
    store_some<kWhole>(state.second_moment + at, v, count);
    const V value = load_some<kWhole>(state.values + at, count) -
                    m * c.step_size / (root(v) * c.second_scale + c.epsilon);
    store_some<kWhole>(state.values + at, value, count);
  }
};

// The gradients of kUnits units' outputs, [n, stride].
struct UnitGradients {
  const float* dy;
  std::size_t stride;
};

template <std::size_t kUnits, std::size_t kVectors, bool kWhole, class Use>
MDGAN_INLINE void weight_tile(const DenseSize& size, UnitGradients gradients,
                              const float* x, std::size_t at, const Use& use,
                              std::size_t count) {
  V sum[kUnits][kVectors] = {};
  for (std::size_t s = 0; s < size.n; ++s) {
    V value[kVectors];
#pragma GCC unroll 8
    for (std::size_t v = 0; v < kVectors; ++v)
      value[v] = load_some<kWhole>(x + s * size.in + v * kLanes, count);
#pragma GCC unroll 8
    for (std::size_t u = 0; u < kUnits; ++u) {
      const V wide = splat(gradients.dy[s * gradients.stride + u]);
#pragma GCC unroll 8
      for (std::size_t v = 0; v < kVectors; ++v) sum[u][v] += wide * value[v];
    }
  }
#pragma GCC unroll 8
  for (std::size_t u = 0; u < kUnits; ++u)
#pragma GCC unroll 8
    for (std::size_t v = 0; v < kVectors; ++v)
      use.template operator()<kWhole>(at + u * size.in + v * kLanes, sum[u][v],
                                      count);
}

// Samples whose gradients are copied together: rows of 512 units, say, are half
// a page apart, and a cache holds few lines that are.
constexpr std::size_t kMostTogether = 128;

template <std::size_t kUnits, class Use>
MDGAN_INLINE void weight_units(const DenseSize& size, const float* dy,
                               const float* x, std::size_t unit,
                               const Use& use) {
  constexpr std::size_t kVectors = kLanes == 16 ? 4 : 2;
  float together[kMostTogether * kUnits];
  UnitGradients gradients{dy + unit, size.out};
  if (size.n <= kMostTogether) {
    for (std::size_t s = 0; s < size.n; ++s)
      for (std::size_t u = 0; u < kUnits; ++u)
        together[s * kUnits + u] = gradients.dy[s * size.out + u];
    gradients = {together, kUnits};
  }
  const std::size_t at = unit * size.in;
  std::size_t i = 0;
  for (; i + kVectors * kLanes <= size.in; i += kVectors * kLanes)
    weight_tile<kUnits, kVectors, true>(size, gradients, x + i, at + i, use,
                                        kLanes);
  for (; i + kLanes <= size.in; i += kLanes)
    weight_tile<kUnits, 1, true>(size, gradients, x + i, at + i, use, kLanes);
  if (i < size.in)
    weight_tile<kUnits, 1, false>(size, gradients, x + i, at + i, use,
                                  size.in - i);
}

constexpr std::size_t kUnitsAtOnce = 4;

template <class Use>
MDGAN_INLINE void each_weight(const DenseSize& size, Range units,
                              const float* dy, const float* x, const Use& use) {
  std::size_t o = units.begin;
  for (; o + kUnitsAtOnce <= units.end; o += kUnitsAtOnce)
    weight_units<kUnitsAtOnce>(size, dy, x, o, use);
  for (; o < units.end; ++o) weight_units<1>(size, dy, x, o, use);
}

// The gradient of the bias is that of the weights of an input that is 1.
template <class Use>
MDGAN_INLINE void each_bias(const DenseSize& size, Range units, const float* dy,
                            std::size_t rows, const Use& use) {
  std::size_t o = units.begin;
  for (; o + kLanes <= units.end; o += kLanes) {
    V sum{};
    for (std::size_t s = 0; s < rows; ++s) sum += load(dy + s * size.out + o);
    use.template operator()<true>(o, sum, kLanes);
  }
  if (o == units.end) return;
  V sum{};
  for (std::size_t s = 0; s < rows; ++s)
    sum += load_part(dy + s * size.out + o, units.end - o);
  use.template operator()<false>(o, sum, units.end - o);
}

void weight_gradient(DenseSize size, Range units, const float* dy,
                     const float* x, std::size_t bias_rows, float* dw,
                     float* db) {
  each_weight(size, units, dy, x, Write{dw});
  each_bias(size, units, dy, bias_rows, Write{db});
}

void adam(DenseSize size, Range units, const float* dy, const float* x,
          std::size_t bias_rows, const DenseAdamState& w,
          const DenseAdamState& b, const AdamCoefficients& coefficients) {
  each_weight(size, units, dy, x,
              StepAdam{w, coefficients, kUnitsAtOnce * size.in});
  each_bias(size, units, dy, bias_rows, StepAdam{b, coefficients, kLanes});
}

constexpr DenseKernels kKernels{MDGAN_KERNEL_NAME, forward,
                                through_leaky,     input_gradient,
                                weight_gradient,   adam};

}  // namespace
}  // namespace mdgan
