// A discriminator's step with differential privacy for its real images
// (DP-SGD, Abadi et al. 2016, algorithm 1): the gradient of each image is
// clipped to a length, and noise is added to their sum. Generated images are
// nobody's, so their half has no noise; it is clipped alike, or else it would
// outweigh the other.
#pragma once

#include <torch/types.h>

#include "common/privacy/privacy_spec.h"
#include "common/privacy/secret_random.h"

namespace mdgan {

class TrainedDiscriminator;

// x [n, c, h, w] on the model's device, n may be 0; y [n] int64, undefined if
// unconditional.
struct LabelledImages {
  torch::Tensor x;
  torch::Tensor y;
};

// The two terms of D's loss.
enum class Half { kReal, kGenerated };

// The sum [P] over images of the gradient of their half of D's loss, without
// penalties, by each, shortened to `clip` where it is longer. An image whose
// gradient is not finite counts as 0. The first works for every model, with one
// backward pass an image.
torch::Tensor clipped_sum_one_by_one(TrainedDiscriminator& d, Half half,
                                     const LabelledImages& images, double clip);
// The same for models of dense layers alone, in one pass: an image's gradient
// by a layer is the product of two vectors, whose lengths are enough (ghost
// norms; Goodfellow 2015, "Efficient per-example gradient computations").
// REQUIRES: the model has dense_widths().
torch::Tensor clipped_sum_dense(TrainedDiscriminator& d, Half half,
                                const LabelledImages& images, double clip);

// What a step goes against: the clipped sum over `real`, a Poisson sample, and
// its noise, plus the clipped sum over `generated`, both divided by the batch
// size (that of a sample is expected to be), plus the gradient of a penalty on
// `generated`. The loss is that on generated images, for the one on real images
// would tell of them.
struct PrivateGradient {
  torch::Tensor values;  // [P]
  double loss = 0;
};
// REQUIRES: check_private() is content; there are generated images.
PrivateGradient private_gradient(TrainedDiscriminator& d,
                                 const PrivacySpec& privacy,
                                 const LabelledImages& real,
                                 const LabelledImages& generated,
                                 SecretRandom& random);

// That loss alone, for the discriminator as it is.
double loss_on_generated(TrainedDiscriminator& d,
                         const LabelledImages& generated);

// Whether a model's output for an image depends on others in its batch.
bool mixes_samples(TrainedDiscriminator& d);

}  // namespace mdgan
