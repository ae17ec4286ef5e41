// A run's generator, as a checkpoint has it.
#pragma once

#include <filesystem>
#include <memory>

#include "common/train/generator/sampler.h"
#include "server/options.h"
#include "server/run/run_state.h"

namespace mdgan {

struct SavedGenerator {
  ServerOptions options;  // the run's configuration
  GeneratorSpec spec;
  RunState state;
};

// From the checkpoint of `round`, or the newest valid one when that is 0. Fails
// with kCheckpoint when the folder is no run or holds no such checkpoint.
Result<SavedGenerator> load_generator(const std::filesystem::path& run,
                                      Round round);

// A sampler of the moving average; of the weights under training where there is
// none, or `use_ema` is false.
Result<std::unique_ptr<Sampler>> make_sampler(SavedGenerator saved,
                                              bool use_ema);

}  // namespace mdgan
