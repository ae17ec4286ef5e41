// What the coordinator keeps of each peer and of each exchange between peers.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/base/time.h"
#include "protocol/messages.h"
#include "server/core/answer_times.h"
#include "server/core/coordinator_view.h"
#include "server/core/events.h"
#include "server/core/swap_cycle.h"

namespace mdgan {

// One peer of the run, absent ones too.
struct Member {
  PeerId id;
  std::string name;
  Presence presence = Presence::kAbsent;
  ConnectionId connection;
  std::uint32_t session = 0;
  std::uint64_t nonce = 0;
  PublicKey key{};  // of its connection
  std::uint64_t shard_size = 0;
  // How many images of each class of the run, in the run's order, or 1 for one
  // that it has and 0 for one that it lacks; empty: it does not tell.
  ClassCounts class_counts;
  std::uint64_t epoch_shard = 0;  // what counts for the length of an epoch
  // What its last hello said; a hello that repeats it does not count.
  protocol::Held held;
  std::vector<protocol::Held> saved;
  DiscriminatorId welcomed_with;
  std::string endpoint;    // empty: it has no listener
  bool relays = false;     // can send and receive by relay
  bool evaluates = false;  // has images to measure the generator with
  // The rounds whose answers are pending, and when it was asked. A member that
  // owes an answer to a round that has been stepped is asked for nothing new.
  std::map<Round, TimePoint> owes;
  TimePoint last_sent{};
  std::optional<TimePoint> last_heard;
  std::uint64_t missed = 0;  // rounds that went on without its answer
  bool slow = false;         // the last of them did
  AnswerTimes answers;
  Round last_round;  // of the latest known state of the discriminator it has
  int invalid_score = 0;  // of its answers; see kInvalidScore
  int breaches = 0;       // of the protocol's rules
  int times_aside = 0;    // it was set aside, by this server
  // It is let in no sooner; nullopt: it is not set aside, or was by an earlier
  // server and has not been heard of since.
  std::optional<TimePoint> aside_until;
  std::optional<TimePoint> aside_told;  // when its hello was last answered so
  bool taken_part = false;  // has contributed, to this server or before
  bool is_late = false;     // came first when training was under way
  int failed_copies = 0;
  protocol::Start start = protocol::Start::kFresh;  // as last told
  Round restore;
  std::string warning;  // likewise

  // When it was asked the oldest of what it owes.
  std::optional<TimePoint> owes_since() const {
    return owes.empty() ? std::nullopt : std::optional(owes.begin()->second);
  }
};

// A transfer that goes by way of this server.
struct Relay {
  PeerId target;
  std::uint32_t sent =
      0;  // chunks, and those of them that the target has taken
  std::uint32_t taken = 0;
};

// A set of transfers that is committed or aborted as a whole.
struct Exchange {
  SwapId id;
  bool is_swap = false;  // else a copy for one late joiner
  std::vector<SwapEdge> edges;
  std::map<PeerId, DiscriminatorId> brings;  // to each target
  std::set<PeerId> staged;
  std::set<PeerId> refused;        // targets that got what will not do
  std::map<PeerId, Relay> relays;  // by source
  TimePoint begun{};
  TimePoint deadline{};
};

}  // namespace mdgan
