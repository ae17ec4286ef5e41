// A run's generator, as its newest checkpoint has it.
#pragma once

#include <filesystem>
#include <memory>

#include "server/io/run_state.h"
#include "server/options.h"

namespace mdgan {

struct SavedGenerator {
  ServerOptions options;  // the run's configuration
  GeneratorSpec spec;
  RunState state;
};

// Fails with kCheckpoint when the folder is no run or holds no valid
// checkpoint.
Result<SavedGenerator> load_generator(const std::filesystem::path& run);

}  // namespace mdgan
