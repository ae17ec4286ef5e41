// Fully connected networks for images of any size: the MLP of Hardy et al. 2019
// (their MNIST experiments), from one hidden width of 512.
//
//   G: latent -> fc1 512 -> fc2 512 -> fc3 c*h*w, tanh
//   D: c*h*w  -> fc1 512 -> fc2 512 -> fc3 1, or 1 + classes with ACGAN
//
// LeakyReLU 0.2 between layers. For 1x28x28, latent 100 and ACGAN with 10
// classes, 716,560 and 670,219 parameters, the paper's numbers; the label
// embedding of G (1,000 more) is counted apart.
#pragma once

#include <memory>

#include "common/models/model.h"

namespace mdgan {

std::shared_ptr<Generator> make_mlp_generator(const ImageShape& image,
                                              Condition condition,
                                              std::uint32_t latent);
std::shared_ptr<Discriminator> make_mlp_discriminator(const ImageShape& image,
                                                      Condition condition);

}  // namespace mdgan
