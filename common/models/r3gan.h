// Networks for 32x32 and 64x64 images in the manner of R3GAN (Huang et al.
// 2024, "The GAN is dead; long live the GAN!"), which trains them with
// --loss relativistic, R1 and R2: no normalisation, grouped convolutions in
// blocks that begin as the identity. Narrower than there, so that a processor
// can train them, and with tanh at the end.
//
//   block(c): x + conv3(f(conv2(f(conv1(x))))), f LeakyReLU 0.2; conv1 1x1 from
//   c to 2c channels, conv2 3x3 in groups of 16 channels, conv3 1x1 back to c,
//   without bias, which begins as 0
//
// For 64x64 (for 32x32 without the second line of G and the last but two of D):
//   G: fc 256, basis 4x4   256 x  4 x  4, 2 blocks
//   to1                    256 x  8 x  8, 2 blocks
//   to2                    128 x 16 x 16, 2 blocks
//   to3                     64 x 32 x 32, 2 blocks
//   to4                     32 x 64 x 64, 2 blocks
//   conv 1x1                 c x 64 x 64, tanh
//   D: conv 1x1             32 x 64 x 64, 2 blocks
//   to1                     64 x 32 x 32, 2 blocks
//   to2                    128 x 16 x 16, 2 blocks
//   to3                    256 x  8 x  8, 2 blocks
//   to4                    256 x  4 x  4, 2 blocks
//   basis 4x4, fc          1, or 1 + classes with ACGAN
//
// to1, to2, ... : G doubles sides by bilinear interpolation after a 1x1
// convolution, D halves them by averages before one; neither has a bias. The
// basis has a 4x4 kernel for each channel.
//
// Parameters with 3 channels, latent 100, no labels:
//   32x32    G 1,049,699   D 1,024,129
//   64x64    G 1,789,027   D 1,763,457
#pragma once

#include <memory>

#include "common/models/model.h"

namespace mdgan {

// REQUIRES, both: square images of 32 or 64 pixels.
std::shared_ptr<Generator> make_r3gan_generator(const ImageShape& image,
                                                Condition condition,
                                                std::uint32_t latent);
std::shared_ptr<Discriminator> make_r3gan_discriminator(const ImageShape& image,
                                                        Condition condition);

}  // namespace mdgan
