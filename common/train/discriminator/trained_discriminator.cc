#include "common/train/discriminator/trained_discriminator.h"

#include <torch/torch.h>

#include <utility>

#include "common/kernels/convolution/convolution_stack.h"
#include "common/losses/adversarial.h"
#include "common/losses/penalty.h"
#include "common/models/initialise.h"
#include "common/tensor/flat_parameters.h"
#include "common/tensor/in_host_memory.h"
#include "common/tensor/tensor_blob.h"
#include "common/train/discriminator/discriminator_step.h"

namespace mdgan {
namespace {

JudgedBatch joint_loss(const TrainingSpec& spec, Discriminator& model,
                       const torch::Tensor& x, const torch::Tensor& y) {
  const auto [logits, class_logits] = model.forward(x, y, /*batches=*/2);
  return {discriminator_loss(spec, {half(logits, 0), half(class_logits, 0)},
                             {half(logits, 1), half(class_logits, 1)}, y),
          half(logits, 0)};
}

JudgedBatch separate_loss(const TrainingSpec& spec, Discriminator& model,
                          const torch::Tensor& x, const torch::Tensor& y,
                          Random& random) {
  const LayerByLayerGuard guard;
  const torch::Tensor real =
      half(x, 0).detach().requires_grad_(spec.r1_gamma > 0);
  const torch::Tensor generated =
      half(x, 1).detach().requires_grad_(spec.r2_gamma > 0);
  const DiscriminatorOutput on_real = model.forward(real, half(y, 0));
  const DiscriminatorOutput on_generated = model.forward(generated, half(y, 1));
  torch::Tensor loss = discriminator_loss(spec, on_real, on_generated, y);
  if (spec.r1_gamma > 0)
    loss = loss + zero_centred_penalty(on_real.logits, real, spec.r1_gamma);
  if (spec.r2_gamma > 0)
    loss = loss +
           zero_centred_penalty(on_generated.logits, generated, spec.r2_gamma);
  if (spec.loss == Loss::kWassersteinGp) {
    // With projection, the critic of an image between a real and a generated
    // one is given the real one's class.
    const Critic critic = [&](const torch::Tensor& between) {
      return model.forward(between, half(y, 0)).logits;
    };
    loss = loss + wasserstein_penalty(critic, real, generated,
                                      spec.gradient_penalty, random);
  }
  return {loss, on_real.logits};
}

JudgedBatch objective(const TrainingSpec& spec, Discriminator& model,
                      const torch::Tensor& x, const torch::Tensor& y,
                      Random& random) {
  return has_penalty(spec) ? separate_loss(spec, model, x, y, random)
                           : joint_loss(spec, model, x, y);
}

}  // namespace

TrainedDiscriminator::TrainedDiscriminator(const TrainingSpec& the_spec,
                                           std::shared_ptr<Discriminator> model)
    : spec(the_spec),
      model_(std::move(model)),
      values_(flatten_parameters(*model_)),
      adam_(spec.adam, values_) {}

Discriminator& TrainedDiscriminator::model() const {
  to_row_major();
  return *model_;
}

const torch::Tensor& TrainedDiscriminator::values() const {
  to_row_major();
  return values_;
}

FlatAdam& TrainedDiscriminator::adam() {
  to_row_major();
  return adam_;
}

void TrainedDiscriminator::initialise(Random& random) {
  mdgan::initialise(model(), random);
  adam_.reset();
}

PeerState TrainedDiscriminator::snapshot(bool with_optimizer) const {
  to_row_major();
  // to_blob copies from a device, but shares CPU memory.
  const auto copy = [](const torch::Tensor& tensor) {
    return to_blob(tensor.is_cpu() ? tensor.clone() : tensor);
  };
  PeerState state;
  state.parameters = copy(values_);
  if (!with_optimizer) return state;
  state.first_moment = copy(adam_.first_moment());
  state.second_moment = copy(adam_.second_moment());
  state.adam_steps = adam_.steps();
  return state;
}

void TrainedDiscriminator::load(const PeerState& state) {
  to_row_major();
  values_.copy_(to_tensor(state.parameters));
  if (!state.first_moment.empty())
    adam_.restore(to_tensor(state.first_moment), to_tensor(state.second_moment),
                  state.adam_steps);
}

JudgedBatch TrainedDiscriminator::step(const torch::Tensor& x,
                                       const torch::Tensor& y, Random& random) {
  // Penalties are computed by LibTorch's layers, whose weights are row-major.
  if (has_penalty(spec))
    to_row_major();
  else
    to_fastest_layout(x);
  const auto [loss, real_logits] = objective(spec, *model_, x, y, random);
  adam_.step(values_, gradients_of(loss, {}, model_->parameters()));
  return {loss.detach(), real_logits.detach()};
}

void TrainedDiscriminator::step(const torch::Tensor& gradient) {
  to_row_major();
  adam_.step(values_, gradient);
}

double TrainedDiscriminator::gradient(const torch::Tensor& x,
                                      const torch::Tensor& y, Random& random,
                                      const torch::Tensor& out) const {
  MDGAN_CHECK(out.dim() == 1 && out.numel() == size());
  const torch::Tensor loss = objective(spec, model(), x, y, random).loss;
  std::vector<torch::Tensor> parts =
      gradients_of(loss, {}, model_->parameters());
  parts.push_back(loss);
  parts = in_host_memory(parts);
  const double value = parts.back().item<double>();
  parts.pop_back();
  std::int64_t at = 0;
  for (const torch::Tensor& part : parts) {
    out.narrow(0, at, part.numel()).view(part.sizes()).copy_(part);
    at += part.numel();
  }
  return value;
}

DiscriminatorOutput TrainedDiscriminator::forward(
    const torch::Tensor& x, const torch::Tensor& y) const {
  return model_->forward(x, y);
}

void TrainedDiscriminator::to_fastest_layout(const torch::Tensor& x) {
  if (ConvolutionStack* stack = model_->convolutions())
    stack->to_fastest_layout(
        x, {values_, adam_.first_moment(), adam_.second_moment()});
}

void TrainedDiscriminator::to_row_major() const {
  if (ConvolutionStack* stack = model_->convolutions())
    stack->to_row_major({values_, adam_.first_moment(), adam_.second_moment()});
}

}  // namespace mdgan
