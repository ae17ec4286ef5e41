// Adam (Kingma and Ba 2015, algorithm 1, with bias correction; epsilon outside
// the square root) over flat buffers: one fused pass on the CPU, plain tensor
// operations elsewhere.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "common/tensor/flat_adam_kernel.h"
#include "protocol/training_spec.h"

namespace mdgan {

// adam_step() of flat_adam_kernel.h as tensor operations, for devices other
// than the CPU. All [P] on one device; `average` may be null.
void adam_step_on_device(torch::Tensor& values, const torch::Tensor& gradients,
                         torch::Tensor& first_moment,
                         torch::Tensor& second_moment, torch::Tensor* average,
                         const AdamCoefficients& coefficients);

class FlatAdam {
 public:
  // An optimiser for a flat buffer [P] like `values`; its moments are zero.
  FlatAdam(const AdamSpec& spec, const torch::Tensor& values);

  // Steps values [P] against gradients [P].
  void step(torch::Tensor& values, const torch::Tensor& gradients);
  // Also sets average [P] <- decay * average + (1 - decay) * values.
  void step(torch::Tensor& values, const torch::Tensor& gradients,
            torch::Tensor& average, double decay);

  // Steps against a gradient in parts, each contiguous, in the order of the
  // buffer: the gradients that autograd gives then need no buffer of their own.
  void step(torch::Tensor& values, const std::vector<torch::Tensor>& parts);
  void step(torch::Tensor& values, const std::vector<torch::Tensor>& parts,
            torch::Tensor& average, double decay);

  // Counts a step that the caller takes on the moments here, and returns its
  // coefficients.
  AdamCoefficients next_step(double decay = 0.0);

  // Returns to the state before the first step.
  void reset();
  // Copies the moments [P] from any device.
  void restore(const torch::Tensor& first_moment,
               const torch::Tensor& second_moment, std::uint64_t steps);
  void set_steps(std::uint64_t steps) { steps_ = steps; }

  const torch::Tensor& first_moment() const { return first_; }
  const torch::Tensor& second_moment() const { return second_; }
  std::uint64_t steps() const { return steps_; }

 private:
  void apply(torch::Tensor& values, const std::vector<torch::Tensor>& parts,
             torch::Tensor* average, double decay);

  AdamSpec spec_;
  torch::Tensor first_, second_;
  std::uint64_t steps_ = 0;
};

}  // namespace mdgan
