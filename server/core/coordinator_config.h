// What a coordinator is told when it is made, what of it a checkpoint keeps,
// and what it counts.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "common/base/ids.h"
#include "protocol/algorithm.h"
#include "protocol/tensor_codecs.h"
#include "protocol/training_spec.h"
#include "server/core/events.h"

namespace mdgan {

struct CoordinatorConfig {
  RunId run{};
  std::uint32_t incarnation = 1;
  std::uint64_t seed = 1;
  std::uint64_t token_seed = 0;  // unpredictable: transfers are bound to it
  std::uint32_t k = 1;           // distinct generated batches per round
  std::uint32_t batch = 10;
  Algorithm algorithm = Algorithm::kMdGan;
  BatchLabels labels = BatchLabels::kUniform;
  double swap_epochs = 1;  // E; 0: never swap. FL-GAN: between two averagings
  std::uint32_t participants = 0;  // asked a round, drawn anew; 0: all
  // How many rounds may be asked ahead of the one that is to be stepped next.
  std::uint32_t staleness = 0;
  std::uint64_t rounds = 0;
  std::uint32_t min_peers = 1;  // wait for so many before training starts
  double quorum = 0.5;  // of the peers asked (rounds), of min_peers (run)
  Duration round_timeout = std::chrono::seconds(60);
  Duration swap_timeout = std::chrono::seconds(60);
  Duration quorum_timeout = std::chrono::seconds(300);
  std::uint64_t checkpoint_every = 0;  // rounds; 0: only at the end
  std::uint64_t evaluate_every = 0;    // by the peers; 0: never
  TensorCodecs codecs;                 // a peer must be able to do them
  // Fixed by configuration or by the server's own data; else the first peer's.
  std::optional<ImageShape> image;
  // Whether the model uses labels. If not, no peer is asked for classes.
  bool conditional = false;
  // What the labels of the run mean, fixed likewise; empty: the union of what
  // the peers have that start the run, which is awaited.
  ClassNames classes;
};

// What the open round, or a swap, still has once the server is to stop: a
// supervisor kills after about ten seconds.
inline constexpr Duration kStopGrace = std::chrono::seconds(3);
// Invalid answers in a row for which a peer is set aside, and attempts in a row
// at a round that brought nothing else for which the run gives up.
inline constexpr int kInvalidAttempts = 5;
// What one of a peer's invalid answers weighs against its valid ones: who for
// long gives more than one invalid one in five is set aside, too.
inline constexpr int kInvalidScore = 4;

// What survives in a checkpoint: the position of the run.
struct RunPosition {
  Round completed;  // the last round whose step the generator has made
  Round last_swap;
  std::map<std::string, PeerId> names;
  std::map<PeerId, DiscriminatorId> discriminators;  // whose is which
  // The nonces of processes that were set aside, until another one of the same
  // peer is let in.
  std::map<PeerId, std::uint64_t> set_aside;
  std::map<PeerId, PublicKey> keys{};  // of those that have one
  friend bool operator==(const RunPosition&, const RunPosition&) = default;
};

// What has happened to this server so far.
struct CoordinatorCounters {
  std::uint64_t stale_feedback = 0;    // of an older round: late, but alive
  std::uint64_t invalid_feedback = 0;  // wrong shape, not finite, too long
  std::uint64_t unexpected = 0;        // not allowed in this state
  std::uint64_t lost_peers = 0;
  std::uint64_t swaps_committed = 0;
  std::uint64_t swaps_aborted = 0;
  std::uint64_t transfers = 0;  // discriminators that have arrived by exchange
  std::uint64_t relayed = 0;    // of them, by way of this server
};

}  // namespace mdgan
