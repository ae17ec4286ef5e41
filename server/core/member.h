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
  std::uint64_t epoch_shard = 0;  // what counts for the length of an epoch
  // As its last hello but for repetitions said.
  protocol::Held held;
  std::vector<protocol::Held> saved;
  DiscriminatorId welcomed_with;
  std::string endpoint;       // empty: it has no listener
  bool relays = false;        // can send and receive by relay
  std::optional<Round> owes;  // asked, not answered yet: gets nothing new
  TimePoint owes_since{};
  TimePoint last_sent{};
  std::optional<TimePoint> last_heard;
  std::uint64_t missed = 0;  // rounds that went on without its answer
  bool slow = false;         // the last of them did
  Round last_round;  // in which it contributed, or got another discriminator
  int invalid_in_a_row = 0;  // answers
  int breaches = 0;          // of the relay's rules
  bool taken_part = false;   // has contributed, to this server or before
  int failed_copies = 0;
  protocol::Start start = protocol::Start::kFresh;  // as last told
  Round restore;
  std::string warning;  // likewise
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
