// What a network from a TorchScript file must be, found by running it.
#pragma once

#include <spdlog/fmt/fmt.h>

#include <cstdint>
#include <stdexcept>
#include <utility>

#include "common/models/model.h"

namespace mdgan {

// What a network is, or gives, that it must not; its message completes "FILE:
// ".
struct Refused : std::runtime_error {
  using std::runtime_error::runtime_error;
};

template <typename... Parts>
[[noreturn]] void refuse(fmt::format_string<Parts...> text, Parts&&... parts) {
  throw Refused(fmt::format(text, std::forward<Parts>(parts)...));
}

// "Float [2, 3]".
std::string type_and_dims(const torch::Tensor& tensor);

// Both run the network several times, which changes no parameter, but a
// generator's buffers, and throw Refused, or what the network throws.
void check_network(Generator& model, const ImageShape& image,
                   std::uint32_t latent);
void check_network(Discriminator& model, const ImageShape& image);

// Differentiates the logits by the images, and the outcome by the parameters.
// Throws like the above where that cannot be done.
void differentiate_twice(Discriminator& model, const ImageShape& image);

}  // namespace mdgan
