// Residual networks for 32x32 and 64x64 images, in the form that Mescheder et
// al. 2018 ("Which training methods for GANs do actually converge?") train with
// R1: no normalisation in G or D. (Miyato et al. 2018's form has batch
// normalisation in G and spectral normalisation in D in R1's place.)
//
//   block(in -> out): shortcut(x) + 0.1 * conv1(f(conv0(f(x)))), f LeakyReLU
//   0.2, 3x3 convolutions, min(in, out) channels between; the shortcut is a 1x1
//   convolution without bias where in != out
//
// For 64x64 (for 32x32 without block2 of G and block5 of D):
//   G: fc 512 x 4 x 4                    D: conv    64 x 64 x 64
//   block1  512 x  4 x  4, upsampled     block1   64 x 64 x 64, pooled
//   block2  512 x  8 x  8, upsampled     block2  128 x 32 x 32, pooled
//   block3  256 x 16 x 16, upsampled     block3  256 x 16 x 16, pooled
//   block4  128 x 32 x 32, upsampled     block4  512 x  8 x  8, pooled
//   block5   64 x 64 x 64                block5  512 x  4 x  4
//   conv      c x 64 x 64, tanh          fc 1, or 1 + classes with ACGAN
//
// Nearest-neighbour upsampling, 2x2 average pooling.
//
// Parameters with 3 channels, latent 100, no labels:
//   32x32    G  8,044,099   D 2,579,649
//   64x64    G 12,763,715   D 7,299,265
#pragma once

#include <memory>

#include "common/models/model.h"

namespace mdgan {

// REQUIRES, both: square images of 32 or 64 pixels.
std::shared_ptr<Generator> make_resnet_generator(const ImageShape& image,
                                                 Condition condition,
                                                 std::uint32_t latent);
std::shared_ptr<Discriminator> make_resnet_discriminator(
    const ImageShape& image, Condition condition);

}  // namespace mdgan
