// The matrix products of a dense (fully connected) layer for batches so small
// that the weights, not the samples, stream through the caches: 10 or 20 rows
// against matrices of megabytes. A general BLAS packs such matrices into
// buffers of its own first, which takes as long as the product. No LibTorch.
//
// All arrays are float32 and row-major: x [n, in], w [out, in] (PyTorch's
// layout), b [out], y [n, out]. Arrays need no alignment and must not overlap.
// The same processor gives the same bits for the same n; another processor, or
// another n, may add in another order.
#pragma once

#include <cstddef>
#include <string_view>

#include "common/tensor/flat_adam_kernel.h"

namespace mdgan {

struct DenseSize {
  std::size_t n = 0;    // samples
  std::size_t in = 0;   // values of each
  std::size_t out = 0;  // units
};

// What one step of Adam updates: a layer's parameters and their moments, each
// [out, in] or [out].
struct DenseAdamState {
  float* values = nullptr;
  float* first_moment = nullptr;
  float* second_moment = nullptr;
};

// A part of the units, or of the inputs, for a thread of its own. Cut at
// multiples of kDenseGrain, the parts give the same bits as the whole.
struct DenseRange {
  std::size_t begin = 0;
  std::size_t end = 0;
};
inline constexpr std::size_t kDenseGrain = 64;

struct DenseKernels {
  std::string_view name;  // "avx512", "avx2", "baseline"

  // y = leaky(x w^T + b), with `slope` below zero; 1 is no activation.
  // `b` may be null: no bias.
  void (*forward)(DenseSize size, DenseRange units, const float* x,
                  const float* w, const float* b, float slope, float* y);

  // gradient *= the derivative of leaky, which the sign of its output tells;
  // `n` values each.
  void (*through_leaky)(std::size_t n, const float* output, float slope,
                        float* gradient);

  // dx = dy w. Overwrites dx.
  void (*input_gradient)(DenseSize size, DenseRange inputs, const float* dy,
                         const float* w, float* dx);

  // dw = dy^T x; db = the sum of dy's first `bias_rows` samples. Overwrites
  // both.
  void (*weight_gradient)(DenseSize size, DenseRange units, const float* dy,
                          const float* x, std::size_t bias_rows, float* dw,
                          float* db);

  // Takes one step of Adam against that gradient, which is never written to
  // memory: writing it and reading it again is a third of a step's traffic.
  void (*adam)(DenseSize size, DenseRange units, const float* dy,
               const float* x, std::size_t bias_rows, const DenseAdamState& w,
               const DenseAdamState& b, const AdamCoefficients& coefficients);
};

// The kernels for the processor this runs on.
const DenseKernels& dense_kernels();

// The kernels of each instruction set, for tests and benchmarks; null where
// this processor or this build does not have it.
const DenseKernels* dense_kernels_avx512();
const DenseKernels* dense_kernels_avx2();
const DenseKernels* dense_kernels_baseline();

}  // namespace mdgan
