// The two convolutional networks of Hardy et al. 2019, "mnist-cnn" and
// "cifar10-cnn": ACGAN's generators (Odena et al. 2017), one discriminator.
//
//   G of mnist-cnn                      G of cifar10-cnn
//   fc       128 x h/4 x w/4            fc       384 x h/8 x w/8
//   deconv1   32 x h/2 x w/2            deconv1  192 x h/4 x w/4
//   deconv2    c x h   x w, tanh        deconv2   96 x h/2 x w/2
//                                       deconv3    c x h   x w, tanh
//
//   D of both: conv1..conv6, 3x3, {16, 32, 64, 128, 256, 512} channels, strides
//   2,1,2,1,2,1 (a stride of 2 halves a side, rounding up); minibatch; fc 1, or
//   1 + classes with ACGAN
//
// Transposed convolutions are 5x5 of stride 2; LeakyReLU 0.2 between layers.
// Strides as in Keras-ACGAN, since the paper gives none. Its dropout is left
// out: D is a function of its input alone, and its feedback free of that noise.
//
// Minibatch discrimination (Salimans et al. 2016), the layer `minibatch`: 16
// kernels of dimension 4 over the flattened features. Its 16 outputs, sums over
// the batch, join the features as input of fc.
//
// Parameters with latent 100 and ACGAN with 10 classes, embeddings apart:
//   mnist-cnn, 1x28x28    G   736,705   D 1,662,603 + 524,464 for minibatch
//   cifar10-cnn, 3x32x32  G 2,932,035   D 1,662,891 + 524,464 for minibatch
// The 524,464 are 8192 x 64 kernel weights and 16 x 11 weights of fc. The paper
// prints other numbers (628,058 and 286,048 for MNIST), which do not follow
// from the layers that it lists; these do.
#pragma once

#include <memory>

#include "common/models/model.h"

namespace mdgan {

// REQUIRES: sides that are multiples of 4.
std::shared_ptr<Generator> make_mnist_cnn_generator(const ImageShape& image,
                                                    Condition condition,
                                                    std::uint32_t latent);
// REQUIRES: sides that are multiples of 8.
std::shared_ptr<Generator> make_cifar10_cnn_generator(const ImageShape& image,
                                                      Condition condition,
                                                      std::uint32_t latent);
std::shared_ptr<Discriminator> make_acgan_cnn_discriminator(
    const ImageShape& image, Condition condition);

}  // namespace mdgan
