// What a server does at the moment, as status.json says it.
#pragma once

#include <array>
#include <string_view>
#include <utility>

#include "server/core/coordinator_view.h"

namespace mdgan {

enum class ServerState {
  kStarting,   // reads data and checkpoint, trains the classifier
  kListening,  // peers can connect
  kWaiting,    // for min-peers, before the first round of this start
  kTraining,
  kPaused,    // fewer live peers than the quorum
  kStopping,  // ends the round, saves, waits for evaluations
  kFinished,  // with an exit code and a reason
};
inline constexpr std::array<std::pair<ServerState, std::string_view>, 7>
    kServerStateNames{{
        {ServerState::kStarting, "starting"},
        {ServerState::kListening, "listening"},
        {ServerState::kWaiting, "waiting"},
        {ServerState::kTraining, "training"},
        {ServerState::kPaused, "paused"},
        {ServerState::kStopping, "stopping"},
        {ServerState::kFinished, "finished"},
    }};

// The state of a server whose loop runs. `started` and `stopping` are those of
// CoordinatorView.
inline ServerState server_state(RunStage stage, bool started, bool stopping) {
  if (stopping || stage == RunStage::kFinished) return ServerState::kStopping;
  if (stage != RunStage::kWaiting) return ServerState::kTraining;
  return started ? ServerState::kPaused : ServerState::kWaiting;
}

}  // namespace mdgan
