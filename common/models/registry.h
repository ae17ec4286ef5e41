// The architectures by name.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/models/model.h"
#include "protocol/result.h"

namespace mdgan {

// "mlp", "mnist-cnn", "cifar10-cnn", "dcgan", "resnet".
std::vector<std::string_view> model_names();

// Fails with ExitCode::kConfiguration when the name is unknown or the model
// does not exist for this image size, saying which sizes it is for. Parameters
// are left uninitialised-by-contract: call initialise() (initialise.h).
Result<std::shared_ptr<Generator>> make_generator(std::string_view model,
                                                  const ImageShape& image,
                                                  Condition condition,
                                                  std::uint32_t latent);
Result<std::shared_ptr<Discriminator>> make_discriminator(
    std::string_view model, const ImageShape& image, Condition condition);

}  // namespace mdgan
