// A discriminator with the state that training changes: its parameters and
// Adam's moments.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <memory>

#include "common/base/random.h"
#include "common/models/model.h"
#include "common/tensor/flat_adam.h"
#include "common/train/discriminator/peer_state.h"
#include "protocol/training_spec.h"

namespace mdgan {

// A loss with its penalties, a scalar, and D's logits on the real images [b].
struct JudgedBatch {
  torch::Tensor loss, real_logits;
};

// Between steps, convolutions' weights and their moments may lie in a layout
// that suits the next step (ConvolutionStack::to_fastest_layout). Only step()
// and forward() ever see it: everything else converts back first, so that
// callers find each tensor row-major, one after another in the order of the
// schema. A reference to values, moments or model is good until the next step.
// Tensors are on the model's device.
//
// Threads: one at a time, for const members, too.
class TrainedDiscriminator {
 public:
  // The model's parameters become views of one buffer; Adam is at its start.
  TrainedDiscriminator(const TrainingSpec& the_spec,
                       std::shared_ptr<Discriminator> model);

  const TrainingSpec spec;

  std::int64_t size() const { return values_.numel(); }  // P

  Discriminator& model() const;
  const torch::Tensor& values() const;  // [P] float32, the parameters
  FlatAdam& adam();

  // Draws the parameters from `random` and resets Adam.
  void initialise(Random& random);

  // A copy on the CPU; without the optimiser it has no moments.
  PeerState snapshot(bool with_optimizer) const;
  // Takes over the state; Adam stays as it is if the state has no moments.
  // REQUIRES: validate_state(state, size()).
  void load(const PeerState& state);

  // Takes one step on x [2b, c, h, w], real samples before generated ones, and
  // their labels y [2b] int64 (undefined if unconditional), by autograd.
  // What is returned has no graph and is on the model's device.
  JudgedBatch step(const torch::Tensor& x, const torch::Tensor& y,
                   Random& random);
  // Takes one step of Adam against a gradient [P] from elsewhere.
  void step(const torch::Tensor& gradient);

  // Writes the gradient that step(x, y, random) would step against into `out`
  // [P] on the CPU. Returns the loss.
  double gradient(const torch::Tensor& x, const torch::Tensor& y,
                  Random& random, const torch::Tensor& out) const;

  // The model's outputs for x [n, c, h, w] and y [n].
  DiscriminatorOutput forward(const torch::Tensor& x,
                              const torch::Tensor& y) const;

 private:
  // Every public function but step(x, y, random) and forward() begins with
  // to_row_major().
  void to_fastest_layout(const torch::Tensor& x);
  void to_row_major() const;

  std::shared_ptr<Discriminator> model_;
  torch::Tensor values_;  // what the model's parameters view
  FlatAdam adam_;
};

}  // namespace mdgan
