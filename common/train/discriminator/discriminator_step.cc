#include "common/train/discriminator/discriminator_step.h"

#include <torch/torch.h>

#include "common/losses/adversarial.h"
#include "common/tensor/tensor_blob.h"
#include "common/train/discriminator/trained_discriminator.h"

namespace mdgan {
namespace {

class AutogradStep final : public DiscriminatorStep {
 public:
  explicit AutogradStep(TrainedDiscriminator& d) : d_(d) {}

  double step(const torch::Tensor& x, const torch::Tensor& y,
              Random& random) override {
    return d_.step(x, y, random);
  }

  PeerFeedback feedback(const torch::Tensor& images,
                        const torch::Tensor& y) override {
    const torch::Tensor x = images.detach().requires_grad_(true);
    const DiscriminatorOutput output = d_.forward(x, y);
    const torch::Tensor loss = generator_loss(d_.spec, output, y);
    // Unlike backward(), grad() does not compute D's own gradients.
    const auto gradient = torch::autograd::grad({loss}, {x}).front();
    return {to_blob(gradient), to_blob(output.logits), loss.item<double>()};
  }

 private:
  TrainedDiscriminator& d_;
};

}  // namespace

torch::Tensor half(const torch::Tensor& both, std::int64_t which) {
  if (!both.defined()) return both;
  const std::int64_t n = both.size(0) / 2;
  return both.narrow(0, which * n, n);
}

torch::Tensor discriminator_loss(const TrainingSpec& spec,
                                 const DiscriminatorOutput& real,
                                 const DiscriminatorOutput& generated,
                                 const torch::Tensor& y) {
  torch::Tensor loss =
      discriminator_loss(spec.loss, real.logits, generated.logits);
  if (spec.condition != Condition::kAcgan) return loss;
  return loss + class_loss(real.class_logits, half(y, 0)) +
         class_loss(generated.class_logits, half(y, 1));
}

torch::Tensor generator_loss(const TrainingSpec& spec,
                             const DiscriminatorOutput& generated,
                             const torch::Tensor& y) {
  torch::Tensor loss = generator_loss(spec.loss, generated.logits);
  if (spec.condition != Condition::kAcgan) return loss;
  return loss + class_loss(generated.class_logits, y);
}

std::unique_ptr<DiscriminatorStep> make_autograd_step(TrainedDiscriminator& d) {
  return std::make_unique<AutogradStep>(d);
}

}  // namespace mdgan
