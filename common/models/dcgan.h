// DCGAN (Radford, Metz, Chintala 2015) for square images of 32, 64 or 128
// pixels. For 64x64, the paper's size; one block less for 32, one more for 128:
//
//   G: latent as 1x1 image            D: c x 64 x 64
//   deconv1  512 x  4 x  4            conv1   64 x 32 x 32
//   deconv2  256 x  8 x  8            conv2  128 x 16 x 16
//   deconv3  128 x 16 x 16            conv3  256 x  8 x  8
//   deconv4   64 x 32 x 32            conv4  512 x  4 x  4
//   deconv5    c x 64 x 64, tanh      fc    1, or 1 + classes with ACGAN
//
// All convolutions are 4x4 of stride 2 (deconv1: stride 1). G: no biases; batch
// normalisation (norm1, norm2, ...) and ReLU after all but the last. D:
// LeakyReLU 0.2, and, unlike the paper's, biases and no batch normalisation,
// whose running statistics would not survive a swap. fc over the 4x4 image is
// the paper's last convolution. First weights N(0, 0.02).
//
// Parameters with 3 channels, latent 100, no labels:
//   32x32    G  1,068,928   D    662,977
//   64x64    G  3,576,704   D  2,764,737
//   128x128  G 12,786,560   D 11,162,561
#pragma once

#include <memory>

#include "common/models/model.h"

namespace mdgan {

// REQUIRES, both: square images of 32, 64 or 128 pixels.
std::shared_ptr<Generator> make_dcgan_generator(const ImageShape& image,
                                                Condition condition,
                                                std::uint32_t latent);
std::shared_ptr<Discriminator> make_dcgan_discriminator(const ImageShape& image,
                                                        Condition condition);

}  // namespace mdgan
