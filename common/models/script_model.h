// Networks from a TorchScript file (script_file.h). Its module has two
// submodules,
//
//   generator      forward(latents [n, latent], labels [n] int64)
//                  -> images [n, c, h, w]
//   discriminator  forward(images [n, c, h, w], labels [n] int64)
//                  -> logits [n], or with ACGAN (logits [n], class logits
//                  [n, classes])
//
// for any n; labels are 0 in a run without them. Tensors and parameters are
// float32. The parameters become those of a torch::nn::Module, under the same
// names and in the same memory, so that training knows no difference. A string
// `initial_law` beside the two, "pytorch" or "dcgan", has initialise() draw the
// weights of PyTorch's layers as it draws those of models of ours; without it
// training begins with the values in the file.
//
// While a network runs, the graph executor's optimisation is off in its thread:
// its own differentiation and fusions are not what LibTorch's autograd
// computes. So first and second derivatives are LibTorch's.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "common/base/result.h"
#include "common/models/model.h"

namespace mdgan {

// Both load the file of this name and run the network a few times. They fail
// with kConfiguration, naming the file and what was expected: where it was not
// given or has no such submodule; where arguments or shapes are others; where
// the same inputs give other values the second time, since the network draws
// random numbers or changes itself; where an image's logits depend on the
// others of its batch; where no gradient comes back; where a parameter is not
// float32, takes no gradient or shares memory with another; where a
// discriminator has buffers, which a swap would leave behind.
Result<std::shared_ptr<Generator>> make_script_generator(
    std::string_view model, const ImageShape& image, std::uint32_t latent);
Result<std::shared_ptr<Discriminator>> make_script_discriminator(
    std::string_view model, const ImageShape& image, Condition condition);

// Fails with kConfiguration unless the logits can be differentiated by the
// images and the outcome by the parameters, as R1, R2 and wgan-gp do.
Result<void> check_second_derivative(Discriminator& model,
                                     const ImageShape& image);

}  // namespace mdgan
