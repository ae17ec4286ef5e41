// What the coordinator shows of itself: plain values, for status.json and for
// tests. The coordinator decides nothing by them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/ids.h"
#include "common/base/time.h"
#include "server/core/answer_times.h"

namespace mdgan {

enum class RunStage {
  kWaiting,     // for min_peers, or (paused) for the quorum to come back
  kGenerating,  // for the round's batches
  kCollecting,  // for answers
  kStepping,    // for the generator's step
  kSwapping,    // for every target of the swap to have staged
  kFinished,
};
inline constexpr std::array<std::pair<RunStage, std::string_view>, 6>
    kRunStageNames{{
        {RunStage::kWaiting, "waiting"},
        {RunStage::kGenerating, "generating"},
        {RunStage::kCollecting, "collecting"},
        {RunStage::kStepping, "stepping"},
        {RunStage::kSwapping, "swapping"},
        {RunStage::kFinished, "finished"},
    }};

enum class Presence {
  kAbsent,   // known by name, not connected
  kCopying,  // connected, waits for a copy of a live peer's discriminator
  kLive,
};
inline constexpr std::array<std::pair<Presence, std::string_view>, 3>
    kPresenceNames{{
        {Presence::kAbsent, "absent"},
        {Presence::kCopying, "copying"},
        {Presence::kLive, "live"},
    }};

// One peer of the run. What a hello tells is empty for a peer of a resumed run
// that has not said hello to this server yet.
struct MemberView {
  PeerId id;
  std::string name;  // unique in the run
  Presence presence = Presence::kAbsent;
  std::uint64_t shard_size = 0;  // images, as its hello said
  // Images of each class of the run, in the run's order, as its hello said; or
  // 1 for a class that it has and 0 for one that it lacks; or empty.
  std::vector<std::uint64_t> class_counts;
  std::string endpoint;  // where other peers reach it
  // When its last message arrived, whatever that said; nullopt: never.
  std::optional<TimePoint> last_heard;
  // When it was asked what it has not answered yet; nullopt: it owes nothing.
  std::optional<TimePoint> owes_since;
  bool in_exchange = false;  // sends or receives a discriminator
  // It did not answer its last round in time; see RoundDeadline::hurry().
  bool slow = false;
  // Rounds that it was asked in and that went on without its answer, since this
  // server started.
  std::uint64_t missed = 0;
  // The seconds within which half, and nineteen of twenty, of its newest
  // answers came; nullopt: none yet.
  std::optional<double> answer_p50;
  std::optional<double> answer_p95;
};

struct CoordinatorView {
  RunStage stage = RunStage::kWaiting;
  bool started = false;      // training has begun; kWaiting then is a pause
  bool stopping = false;     // the run ends once the open round is finished
  Round completed;           // the last round whose step the generator has made
  std::uint64_t rounds = 0;  // that the run is to have
  std::uint32_t live = 0;    // members in kLive; before the model is decided,
                             // peers that wait for it
  std::uint32_t needed = 0;  // live members without which no round begins
  // What the labels of the run mean; empty: nothing, or not decided yet.
  std::vector<std::string> classes;
  std::vector<MemberView> members;  // by id
  AnswerHistogram answers;          // of all members
};

}  // namespace mdgan
