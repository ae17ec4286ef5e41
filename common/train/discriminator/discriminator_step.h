// How a discriminator takes a step and gives feedback, in two ways: by
// LibTorch's autograd, which is right for every model, loss and device, and by
// hand for dense layers on the CPU, which is several times faster.
#pragma once

#include <torch/types.h>

#include <memory>

#include "common/base/random.h"
#include "common/models/model.h"
#include "common/tensor/flat_adam.h"
#include "common/train/discriminator/peer_state.h"
#include "protocol/training_spec.h"

namespace mdgan {

// A discriminator and what training changes of it.
struct TrainedDiscriminator {
  TrainedDiscriminator(const TrainingSpec& the_spec,
                       std::shared_ptr<Discriminator> the_model);

  // Weights and moments into the order that a step on x is fastest with, or
  // back to row by row, in which everything but a step wants them.
  void order_for(const torch::Tensor& x);
  void make_plain();

  const TrainingSpec spec;
  const std::shared_ptr<Discriminator> model;
  torch::Tensor values;  // [P], what the model's parameters view
  FlatAdam adam;
};

class DiscriminatorStep {
 public:
  virtual ~DiscriminatorStep() = default;

  // One step of D on x [2b, c, h, w], real samples before generated ones, and
  // their labels y [2b] int64 (undefined if unconditional). Returns the loss
  // that was differentiated.
  virtual double step(const torch::Tensor& x, const torch::Tensor& y,
                      Random& random) = 0;

  // dLoss_G/dx for generated images x [b, c, h, w]. Leaves D as it is.
  virtual PeerFeedback feedback(const torch::Tensor& x,
                                const torch::Tensor& y) = 0;
};

// What both ways share: the half of `both` that holds the real samples (0) or
// the generated (1); the losses without penalties.
torch::Tensor half(const torch::Tensor& both, std::int64_t which);
torch::Tensor discriminator_loss(const TrainingSpec& spec,
                                 const DiscriminatorOutput& real,
                                 const DiscriminatorOutput& generated,
                                 const torch::Tensor& y);
torch::Tensor generator_loss(const TrainingSpec& spec,
                             const DiscriminatorOutput& generated,
                             const torch::Tensor& y);

// The loss of a step, penalties included, for autograd.
torch::Tensor discriminator_objective(const TrainedDiscriminator& d,
                                      const torch::Tensor& x,
                                      const torch::Tensor& y, Random& random);

// `d` outlives the step.
std::unique_ptr<DiscriminatorStep> make_autograd_step(TrainedDiscriminator& d);
// Null if it is not for this model, loss or device.
std::unique_ptr<DiscriminatorStep> make_dense_step(TrainedDiscriminator& d);

}  // namespace mdgan
