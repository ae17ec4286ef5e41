// The losses of adversarial.h with their gradients, written out, for whoever
// does without autograd. No LibTorch. Each function returns the loss, a mean
// over the batch, and writes d loss / d its logits.
#pragma once

#include <cstdint>
#include <span>

#include "protocol/training_spec.h"

namespace mdgan {

// real, generated: D's logits. Without penalties; REQUIRES: loss is not
// kWassersteinGp; as many real as generated ones with kRelativistic. `real` of
// G's loss is used by that one alone.
double discriminator_loss(Loss loss, std::span<const float> real,
                          std::span<const float> generated,
                          std::span<float> d_real,
                          std::span<float> d_generated);
double generator_loss(Loss loss, std::span<const float> generated,
                      std::span<float> d_generated,
                      std::span<const float> real = {});

// Cross-entropy of class_logits [n, classes], row-major.
// REQUIRES: labels [n] in [0, classes); class_logits and the gradient have
// labels.size() rows.
double class_loss(std::span<const float> class_logits,
                  std::span<const std::int64_t> labels,
                  std::span<float> d_class_logits);

}  // namespace mdgan
