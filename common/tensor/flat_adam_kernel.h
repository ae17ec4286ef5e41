// One step of Adam over flat arrays in one pass. No LibTorch.
#pragma once

#include <cstddef>

namespace mdgan {

// The coefficients of one step, in the precision of the arithmetic.
struct AdamCoefficients {
  float beta1 = 0;
  float one_minus_beta1 = 0;
  float beta2 = 0;
  float one_minus_beta2 = 0;
  float step_size = 0;     // learning rate / (1 - beta1^t)
  float second_scale = 0;  // 1 / sqrt(1 - beta2^t)
  float epsilon = 0;
  float decay = 0;  // of the moving average
  float one_minus_decay = 0;
};

// Steps `n` floats; `average` may be null. The result is the same, bit for bit,
// on every processor: no multiply-add is contracted, no sum reordered.
void adam_step(std::size_t n, float* values, const float* gradients,
               float* first_moment, float* second_moment, float* average,
               const AdamCoefficients& coefficients);

}  // namespace mdgan
