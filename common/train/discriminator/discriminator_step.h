// How a discriminator takes a step and gives feedback, in two ways: by
// LibTorch's autograd, which is right for every model, loss and device, and by
// hand for dense layers on the CPU, which is several times faster.
#pragma once

#include <torch/types.h>

#include <memory>

#include "common/base/random.h"
#include "common/models/model.h"
#include "common/train/discriminator/peer_state.h"
#include "protocol/training_spec.h"

namespace mdgan {

class TrainedDiscriminator;

class DiscriminatorStep {
 public:
  virtual ~DiscriminatorStep() = default;

  // Takes one step of D on x [2b, c, h, w], real samples before generated ones,
  // and their labels y [2b] int64 (undefined if unconditional). Returns the
  // loss that was differentiated.
  virtual double step(const torch::Tensor& x, const torch::Tensor& y,
                      Random& random) = 0;

  // Computes dLoss_G/dx for generated images x [b, c, h, w]. D stays as it is.
  virtual PeerFeedback feedback(const torch::Tensor& x,
                                const torch::Tensor& y) = 0;
};

// Both ways share these: the half of `both` that holds the real samples (0) or
// the generated ones (1), and the losses without penalties.
torch::Tensor half(const torch::Tensor& both, std::int64_t which);
torch::Tensor discriminator_loss(const TrainingSpec& spec,
                                 const DiscriminatorOutput& real,
                                 const DiscriminatorOutput& generated,
                                 const torch::Tensor& y);
torch::Tensor generator_loss(const TrainingSpec& spec,
                             const DiscriminatorOutput& generated,
                             const torch::Tensor& y);

// `d` outlives the step.
std::unique_ptr<DiscriminatorStep> make_autograd_step(TrainedDiscriminator& d);
// Null if the way by hand is not for this model, loss or device.
std::unique_ptr<DiscriminatorStep> make_dense_step(TrainedDiscriminator& d);

}  // namespace mdgan
