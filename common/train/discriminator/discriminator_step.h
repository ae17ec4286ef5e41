// How a discriminator takes a step and gives feedback, in two ways: by
// LibTorch's autograd, which is right for every model, loss and device, and by
// hand for dense layers on the CPU, which is several times faster.
#pragma once

#include <torch/types.h>

#include <memory>
#include <vector>

#include "common/base/random.h"
#include "common/models/model.h"
#include "common/train/discriminator/peer_state.h"
#include "protocol/training_spec.h"

namespace mdgan {

class TrainedDiscriminator;

// What a step tells of itself.
struct DiscriminatorReport {
  double loss = 0;  // that was differentiated
  // With ADA, the sum of the signs of D's logits on the real images, as they
  // were before the step; else 0.
  double real_signs = 0;
  // Or these two (without ADA the first alone), [2] or [1] on a device, which
  // may be at it still.
  torch::Tensor on_device;
};

// The reports of the steps of a round. Those on a device stay there until the
// feedback is copied from it: to ask for one makes the device wait for the
// host.
struct DiscriminatorReports {
  double loss = 0;                       // the sum of those that are numbers
  double real_signs = 0;                 // likewise
  std::vector<torch::Tensor> on_device;  // the others
  std::uint32_t steps = 0;

  void add(const DiscriminatorReport& report);
  // REQUIRES: nothing is on a device.
  double mean_loss() const { return steps == 0 ? 0 : loss / steps; }
};

class DiscriminatorStep {
 public:
  virtual ~DiscriminatorStep() = default;

  // Takes one step of D on x [2b, c, h, w], real samples before generated ones,
  // and their labels y [2b] int64 (undefined if unconditional).
  virtual DiscriminatorReport step(const torch::Tensor& x,
                                   const torch::Tensor& y, Random& random) = 0;

  // Computes dLoss_G/dx for generated images x [b, c, h, w], or, where the loss
  // pairs_images(), for the generated half of x [2b, c, h, w], real samples
  // before it; y are their labels. D stays as it is. Makes numbers of the
  // reports; the mean loss is in what is returned.
  virtual PeerFeedback feedback(const torch::Tensor& x, const torch::Tensor& y,
                                DiscriminatorReports& reports) = 0;
};

// Both ways share these: the half of `both` that holds the real samples (0) or
// the generated ones (1), and the losses without penalties.
torch::Tensor half(const torch::Tensor& both, std::int64_t which);
torch::Tensor discriminator_loss(const TrainingSpec& spec,
                                 const DiscriminatorOutput& real,
                                 const DiscriminatorOutput& generated,
                                 const torch::Tensor& y);
// real_logits: undefined unless the loss pairs_images().
torch::Tensor generator_loss(const TrainingSpec& spec,
                             const DiscriminatorOutput& generated,
                             const torch::Tensor& real_logits,
                             const torch::Tensor& y);

// `d` outlives the step.
std::unique_ptr<DiscriminatorStep> make_autograd_step(TrainedDiscriminator& d);
// Null if the way by hand is not for this model, loss or device.
std::unique_ptr<DiscriminatorStep> make_dense_step(TrainedDiscriminator& d);

}  // namespace mdgan
