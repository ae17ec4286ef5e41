#include "common/train/discriminator/discriminator_step.h"

#include <torch/torch.h>

#include <utility>
#include <vector>

#include "common/kernels/convolution/convolution_stack.h"
#include "common/losses/adversarial.h"
#include "common/tensor/flat_parameters.h"
#include "common/tensor/tensor_blob.h"

namespace mdgan {
namespace {

// What differentiates by one half's images, and that gradient again.
bool has_penalty(const TrainingSpec& spec) {
  return spec.r1_gamma > 0 || spec.r2_gamma > 0 ||
         spec.loss == Loss::kWassersteinGp;
}

torch::Tensor joint_loss(const TrainedDiscriminator& d, const torch::Tensor& x,
                         const torch::Tensor& y) {
  const auto [logits, class_logits] = d.model->forward(x, y, /*batches=*/2);
  return discriminator_loss(d.spec, {half(logits, 0), half(class_logits, 0)},
                            {half(logits, 1), half(class_logits, 1)}, y);
}

torch::Tensor separate_loss(const TrainedDiscriminator& d,
                            const torch::Tensor& x, const torch::Tensor& y,
                            Random& random) {
  const LayerByLayerGuard guard;
  const TrainingSpec& spec = d.spec;
  const torch::Tensor real =
      half(x, 0).detach().requires_grad_(spec.r1_gamma > 0);
  const torch::Tensor generated =
      half(x, 1).detach().requires_grad_(spec.r2_gamma > 0);
  const DiscriminatorOutput on_real = d.model->forward(real, half(y, 0));
  const DiscriminatorOutput on_generated =
      d.model->forward(generated, half(y, 1));
  torch::Tensor loss = discriminator_loss(spec, on_real, on_generated, y);
  if (spec.r1_gamma > 0)
    loss = loss + zero_centred_penalty(on_real.logits, real, spec.r1_gamma);
  if (spec.r2_gamma > 0)
    loss = loss +
           zero_centred_penalty(on_generated.logits, generated, spec.r2_gamma);
  if (spec.loss == Loss::kWassersteinGp) {
    // With projection, the critic between two images is the real one's class's.
    const Critic critic = [&](const torch::Tensor& between) {
      return d.model->forward(between, half(y, 0)).logits;
    };
    loss = loss + wasserstein_penalty(critic, real, generated,
                                      spec.gradient_penalty, random);
  }
  return loss;
}

class AutogradStep final : public DiscriminatorStep {
 public:
  explicit AutogradStep(TrainedDiscriminator& d)
      : d_(d), parameters_(d.model->parameters()) {}

  double step(const torch::Tensor& x, const torch::Tensor& y,
              Random& random) override {
    if (!has_penalty(d_.spec)) d_.order_for(x);
    const torch::Tensor loss = discriminator_objective(d_, x, y, random);
    d_.adam.step(d_.values, gradients_of(loss, {}, parameters_));
    return loss.item<double>();
  }

  PeerFeedback feedback(const torch::Tensor& images,
                        const torch::Tensor& y) override {
    const torch::Tensor x = images.detach().requires_grad_(true);
    const DiscriminatorOutput output = d_.model->forward(x, y);
    const torch::Tensor loss = generator_loss(d_.spec, output, y);
    // Not backward(): D's own gradients are not computed.
    const auto gradient = torch::autograd::grad({loss}, {x}).front();
    return {to_blob(gradient), to_blob(output.logits), loss.item<double>()};
  }

 private:
  TrainedDiscriminator& d_;
  const std::vector<torch::Tensor> parameters_;
};

}  // namespace

TrainedDiscriminator::TrainedDiscriminator(
    const TrainingSpec& the_spec, std::shared_ptr<Discriminator> the_model)
    : spec(the_spec),
      model(std::move(the_model)),
      values(flatten_parameters(*model)),
      adam(spec.adam, values) {}

void TrainedDiscriminator::order_for(const torch::Tensor& x) {
  if (ConvolutionStack* stack = model->convolutions())
    stack->order_weights(x,
                         {values, adam.first_moment(), adam.second_moment()});
}

void TrainedDiscriminator::make_plain() {
  if (ConvolutionStack* stack = model->convolutions())
    stack->make_plain({values, adam.first_moment(), adam.second_moment()});
}

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

torch::Tensor discriminator_objective(const TrainedDiscriminator& d,
                                      const torch::Tensor& x,
                                      const torch::Tensor& y, Random& random) {
  return has_penalty(d.spec) ? separate_loss(d, x, y, random)
                             : joint_loss(d, x, y);
}

std::unique_ptr<DiscriminatorStep> make_autograd_step(TrainedDiscriminator& d) {
  return std::make_unique<AutogradStep>(d);
}

}  // namespace mdgan
