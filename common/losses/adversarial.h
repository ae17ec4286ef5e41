// Losses and penalties of D and G. y are D's logits, one per sample; every
// function returns a scalar that is a mean over the batch.
//
//   loss            of D                               of G
//   non-saturating  softplus(-y_r) + softplus(y_f)     softplus(-y_f)
//   saturating      the same                           -softplus(y_f)
//   hinge           relu(1 - y_r) + relu(1 + y_f)      -y_f
//   wgan-gp         y_f - y_r + wasserstein_penalty    -y_f
//   relativistic    softplus(y_f - y_r)                softplus(y_r - y_f)
//
// Goodfellow et al. 2014 (both first; `saturating` is log(1 - D)); Lim and Ye
// 2017; Gulrajani et al. 2017; Jolicoeur-Martineau 2019, with R1 and R2 the
// loss of R3GAN (Huang et al. 2024): each generated image against a real one.
#pragma once

#include <torch/types.h>

#include <functional>

#include "protocol/training_spec.h"

namespace mdgan {

class Random;

// real, generated: logits [n] and [m]. Without penalties. REQUIRES: n = m, and
// `real` for G is defined, where pairs_images().
torch::Tensor discriminator_loss(Loss loss, const torch::Tensor& real,
                                 const torch::Tensor& generated);
torch::Tensor generator_loss(Loss loss, const torch::Tensor& generated,
                             const torch::Tensor& real = {});

// ACGAN's cross-entropy (Odena et al. 2017). D adds it for real and for
// generated images, G for generated ones. class_logits [n, classes], labels [n]
// int64.
torch::Tensor class_loss(const torch::Tensor& class_logits,
                         const torch::Tensor& labels);

// gamma/2 * E|d logits / d images|^2 (Mescheder et al. 2018, section 4.1): R1
// on real images, R2 on generated ones. `logits` [n] must come from `images`,
// which require a gradient.
torch::Tensor zero_centred_penalty(const torch::Tensor& logits,
                                   const torch::Tensor& images, double gamma);

// weight * E(|d critic(x) / d x| - 1)^2 at x between real and generated images,
// each pair at its own uniform place. real, generated: [n, ...], the same
// shape.
using Critic = std::function<torch::Tensor(const torch::Tensor& images)>;
torch::Tensor wasserstein_penalty(const Critic& critic,
                                  const torch::Tensor& real,
                                  const torch::Tensor& generated, double weight,
                                  Random& random);

}  // namespace mdgan
