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
  // For a flat buffer [P] like `values`; the moments are zero.
  FlatAdam(const AdamSpec& spec, const torch::Tensor& values);

  // values [P] step against gradients [P].
  void step(torch::Tensor& values, const torch::Tensor& gradients);
  // Then average [P] <- decay * average + (1 - decay) * values.
  void step(torch::Tensor& values, const torch::Tensor& gradients,
            torch::Tensor& average, double decay);

  // The same against a gradient in parts, contiguous each, in the order of the
  // buffer: what autograd gives then needs no buffer of its own.
  void step(torch::Tensor& values, const std::vector<torch::Tensor>& parts);
  void step(torch::Tensor& values, const std::vector<torch::Tensor>& parts,
            torch::Tensor& average, double decay);

  // For a step that is taken elsewhere, on the moments here: counts it and
  // gives its numbers.
  AdamCoefficients next_step(double decay = 0.0);

  // Back to the state before the first step.
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
