// What a server's checkpoint holds besides the tensors' own format.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/tensor/blob.h"
#include "protocol/training_spec.h"
#include "server/core/coordinator.h"

namespace mdgan {

// A run as a checkpoint brings it back; for a new run, its beginning.
struct RunState {
  RunId run{};
  // Which of the run's servers this is; as loaded, the one that saved (0: it
  // did not say). See RunDirectory::next_incarnation().
  std::uint32_t incarnation = 0;
  RunPosition position;
  std::vector<NamedBlob> generator;  // empty: to be initialised
  std::optional<ImageShape> image;
  // What its labels mean; empty: nothing, or it was saved before classes had
  // names.
  ClassNames classes;
  Algorithm algorithm = Algorithm::kMdGan;
  std::uint32_t k = 0;  // 0: not decided yet
};

// The JSON text of a checkpoint's meta.json: all of the state but the tensors.
std::string describe_run(const RunState& state, const TrainingSpec& spec);

// Reads the checkpoint of `round`, by default the newest valid one.
// Fails with kCheckpoint when there is none, and when its meta.json is not what
// describe_run() makes, naming the file and the value.
Result<RunState> load_run(const std::filesystem::path& checkpoints,
                          std::optional<Round> round = std::nullopt);

}  // namespace mdgan
