// What `mdgan-server inspect` says of a TorchScript file. LibTorch stays behind
// the implementation.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "common/base/result.h"
#include "protocol/training_spec.h"

namespace mdgan {

// What the model is tried with.
struct ScriptTrial {
  ImageShape image;
  Condition condition = Condition::kNone;
  std::uint32_t latent = 100;
};

// Loads the file and runs both networks as a start of training does. Returns
// the run's name for it, how first weights are drawn, each network's parameters
// and buffers, and whether penalties can be used. Fails like make_generator()
// and make_discriminator().
Result<std::string> describe_script(const std::filesystem::path& file,
                                    const ScriptTrial& trial);

}  // namespace mdgan
