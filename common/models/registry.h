// The architectures by name: ours, and TorchScript files' (script_model.h).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/models/model.h"

namespace mdgan {

// "mlp", "mnist-cnn", "cifar10-cnn", "dcgan", "resnet", "dirac".
std::vector<std::string_view> model_names();

// Fails with ExitCode::kConfiguration when the name is unknown, when the model
// does not exist for this image size, saying which sizes it is for and which
// models would fit, and when a conditional model is asked for without classes
// or where the model takes no labels, or when there is no memory. The
// parameters have no values that mean anything until initialise()
// (initialise.h) is called. Models are made on the CPU.
Result<std::shared_ptr<Generator>> make_generator(std::string_view model,
                                                  const ImageShape& image,
                                                  Condition condition,
                                                  std::uint32_t latent);
Result<std::shared_ptr<Discriminator>> make_discriminator(
    std::string_view model, const ImageShape& image, Condition condition);

// The schema, which two programs must agree on before weights travel between
// them: one line "NAME float32 D0xD1x...\n" per tensor of floating point, in
// the order given, which is also the order of a flat state.
std::string schema_text(
    const torch::OrderedDict<std::string, torch::Tensor>& tensors,
    const std::string& prefix = "");

}  // namespace mdgan
