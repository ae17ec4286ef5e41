#include "common/losses/adversarial.h"

#include <torch/torch.h>

#include <span>
#include <vector>

#include "common/base/random.h"
#include "common/base/result.h"

namespace mdgan {
namespace {

using torch::softplus;

// d sum(logits) / d images, [n, values], itself differentiable. Samples do not
// see each other, or (minibatch discrimination) are meant to be summed.
torch::Tensor input_gradient(const torch::Tensor& logits,
                             const torch::Tensor& images) {
  return torch::autograd::grad({logits.sum()}, {images}, /*grad_outputs=*/{},
                               /*retain_graph=*/true, /*create_graph=*/true)
      .front()
      .flatten(1);
}

}  // namespace

torch::Tensor discriminator_loss(Loss loss, const torch::Tensor& real,
                                 const torch::Tensor& generated) {
  switch (loss) {
    case Loss::kNonSaturating:
    case Loss::kSaturating:
      return softplus(-real).mean() + softplus(generated).mean();
    case Loss::kHinge:
      return torch::relu(1 - real).mean() + torch::relu(1 + generated).mean();
    case Loss::kWassersteinGp:
      return generated.mean() - real.mean();
    case Loss::kRelativistic:
      return softplus(generated - real).mean();
  }
  MDGAN_CHECK(!"a known loss");
}

torch::Tensor generator_loss(Loss loss, const torch::Tensor& generated,
                             const torch::Tensor& real) {
  switch (loss) {
    case Loss::kNonSaturating:
      return softplus(-generated).mean();
    case Loss::kSaturating:
      return -softplus(generated).mean();
    case Loss::kHinge:
    case Loss::kWassersteinGp:
      return -generated.mean();
    case Loss::kRelativistic:
      return softplus(real - generated).mean();
  }
  MDGAN_CHECK(!"a known loss");
}

torch::Tensor class_loss(const torch::Tensor& class_logits,
                         const torch::Tensor& labels) {
  return torch::nn::functional::cross_entropy(class_logits, labels);
}

torch::Tensor zero_centred_penalty(const torch::Tensor& logits,
                                   const torch::Tensor& images, double gamma) {
  const torch::Tensor gradient = input_gradient(logits, images);
  return gradient.square().sum(1).mean() * (gamma / 2);
}

torch::Tensor wasserstein_penalty(const Critic& critic,
                                  const torch::Tensor& real,
                                  const torch::Tensor& generated, double weight,
                                  Random& random) {
  std::vector<std::int64_t> one_per_sample(static_cast<std::size_t>(real.dim()),
                                           1);
  one_per_sample.front() = real.size(0);
  torch::Tensor place = torch::empty(one_per_sample, torch::kFloat32);
  random.fill_uniform(std::span(place.data_ptr<float>(),
                                static_cast<std::size_t>(place.numel())),
                      0.0F, 1.0F);
  const torch::Tensor between =
      torch::lerp(generated.detach(), real.detach(), place.to(real))
          .requires_grad_(true);
  const torch::Tensor norm =
      input_gradient(critic(between), between).norm(2, 1);
  return (norm - 1).square().mean() * weight;
}

}  // namespace mdgan
