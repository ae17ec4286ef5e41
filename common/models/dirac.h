// The Dirac-GAN (Mescheder, Geiger, Nowozin 2018, section 2): the smallest GAN
// there is, for images of a single value, to see how training behaves.
//
//   G: theta, whatever the latent    D: psi * x
//
// Both parameters start at 1, for every seed and peer. Real images are meant to
// be 0: grey values of 127 and 128 in equal parts come within 0.004. There,
// theta = psi = 0 is the equilibrium; gradient descent circles it, and
// converges with R1 or R2. Takes no labels. theta may leave [-1, 1], so images
// should travel as float32.
#pragma once

#include <memory>

#include "common/models/model.h"

namespace mdgan {

std::shared_ptr<Generator> make_dirac_generator(const ImageShape& image,
                                                Condition condition,
                                                std::uint32_t latent);
std::shared_ptr<Discriminator> make_dirac_discriminator(const ImageShape& image,
                                                        Condition condition);

}  // namespace mdgan
