// Compiled with -O3 -fno-math-errno, so that the square root is vectorised, and
// -ffp-contract=off, so that all versions round alike.
#include "common/tensor/flat_adam_kernel.h"

#include <cmath>

namespace mdgan {
namespace {

// Each array is read and written at its own index only, and no two overlap.
[[gnu::always_inline]] inline void update(std::size_t n,
                                          float* __restrict values,
                                          const float* __restrict gradients,
                                          float* __restrict first,
                                          float* __restrict second,
                                          const AdamCoefficients& c) {
  for (std::size_t i = 0; i < n; ++i) {
    const float g = gradients[i];
    const float m = c.beta1 * first[i] + c.one_minus_beta1 * g;
    const float v = c.beta2 * second[i] + c.one_minus_beta2 * (g * g);
    first[i] = m;
    second[i] = v;
    values[i] -= c.step_size * m / (std::sqrt(v) * c.second_scale + c.epsilon);
  }
}

[[gnu::always_inline]] inline void follow(std::size_t n,
                                          const float* __restrict values,
                                          float* __restrict average,
                                          const AdamCoefficients& c) {
  for (std::size_t i = 0; i < n; ++i)
    average[i] = c.decay * average[i] + c.one_minus_decay * values[i];
}

// Blocks that stay in the first-level cache, so that the average reads the new
// values from there.
constexpr std::size_t kBlock = 1024;

[[gnu::always_inline]] inline void step(std::size_t n, float* values,
                                        const float* gradients, float* first,
                                        float* second, float* average,
                                        const AdamCoefficients& c) {
  for (std::size_t i = 0; i < n; i += kBlock) {
    const std::size_t size = n - i < kBlock ? n - i : kBlock;
    update(size, values + i, gradients + i, first + i, second + i, c);
    if (average != nullptr) follow(size, values + i, average + i, c);
  }
}

#if defined(__x86_64__)
// This is written by hand, as the resolver of target_clones runs before the
// sanitizers are set up.
[[gnu::target("avx2")]] void step_avx2(std::size_t n, float* values,
                                       const float* gradients, float* first,
                                       float* second, float* average,
                                       const AdamCoefficients& c) {
  step(n, values, gradients, first, second, average, c);
}
#endif

}  // namespace

void adam_step(std::size_t n, float* values, const float* gradients,
               float* first_moment, float* second_moment, float* average,
               const AdamCoefficients& coefficients) {
#if defined(__x86_64__)
  static const bool has_avx2 = __builtin_cpu_supports("avx2") != 0;
  if (has_avx2)
    return step_avx2(n, values, gradients, first_moment, second_moment, average,
                     coefficients);
#endif
  step(n, values, gradients, first_moment, second_moment, average,
       coefficients);
}

}  // namespace mdgan
