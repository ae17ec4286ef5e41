// DiffAugment (Zhao et al. 2020): each image that a discriminator sees, real or
// generated, is changed at random, so that a few images do not teach it their
// details. All changes are affine in the image, T x = A x + a, so that the
// gradient with respect to x is A' times the one with respect to T x.
//
// Of ADA (Karras et al. 2020) these are the changes, too: each of the five then
// happens with a probability of its own.
//
// In this order: brightness + U(-0.5, 0.5); saturation, the distance from the
// mean of the pixel's channels, times U(0, 2); contrast, the distance from the
// image's mean, times U(0.5, 1.5); a shift by up to an eighth of each side; a
// square of half the sides is cut out. What is shifted in or cut out is 0, the
// middle of the range. No LibTorch.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/base/random.h"
#include "protocol/training_spec.h"

namespace mdgan {

// One image's changes.
struct Augmentation {
  float brightness = 0;
  float saturation = 1;
  float contrast = 1;
  std::int32_t down = 0;  // pixels
  std::int32_t right = 0;
  // The rows [top, bottom) and columns [left, right_end) that are cut out; the
  // cut may lie partly outside of the image.
  std::int32_t top = 0, bottom = 0, left = 0, right_end = 0;
};

// Draws the changes of `count` images of this shape: each of an image's five
// with this probability, whatever the other four do. With 1 as many random
// numbers are drawn as DiffAugment's own.
std::vector<Augmentation> draw_augmentations(std::size_t count,
                                             const ImageShape& shape,
                                             Random& random,
                                             double probability = 1);

// Changes images [n, c, h, w]. REQUIRES: as many values as n such images have.
void augment(std::span<const Augmentation> changes, const ImageShape& shape,
             std::span<float> images);

// Makes of the gradient with respect to the changed images [n, c, h, w] the one
// with respect to the images. REQUIRES: the same.
void augment_adjoint(std::span<const Augmentation> changes,
                     const ImageShape& shape, std::span<float> gradients);

}  // namespace mdgan
