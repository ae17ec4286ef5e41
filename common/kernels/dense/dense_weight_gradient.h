// The gradients of a dense layer's weights and bias, written or stepped with by
// Adam.
// Included like dense_kernel_impl.h, once for each instruction set.
#pragma once

#include <cstddef>

#include "common/kernels/dense/dense_kernel.h"
#include "common/kernels/dense/dense_tiles.h"
#include "common/kernels/dense/dense_vector.h"

namespace mdgan {
namespace {

// Uses of a vector of gradients: to write it, or to step against it.
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
  // The distance to the values that are prefetched, those of the units that
  // come next. The processor's own prefetcher does not follow so many streams,
  // and without this it waits for memory a third of the time.
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

// The gradients of so many samples are copied side by side: rows of 512 units,
// say, are half a page apart, and a cache holds few lines at such distances.
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

}  // namespace
}  // namespace mdgan
