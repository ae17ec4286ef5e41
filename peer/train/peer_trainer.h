// A peer's arithmetic, whatever the run's algorithm: what it keeps between
// rounds, and how it answers one. No sockets. LibTorch stays behind the
// implementations.
//
// Threads: one call at a time; the caller may change threads between calls.
// Where there is no Result, a failure of LibTorch, such as no memory, throws a
// standard exception.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/data/dataset.h"
#include "common/tensor/blob.h"
#include "protocol/ids.h"
#include "protocol/result.h"
#include "protocol/spec.h"

namespace mdgan {

// Beyond any run's length.
inline constexpr std::uint64_t kMostAdamSteps = std::uint64_t{1} << 62;

// What a peer keeps, as it travels and as it is saved: a discriminator, or a
// replica. Flat: all values in the order of the schema, each tensor row-major.
// The moments are empty when the optimiser stays behind (swap_optimizer =
// false).
struct DiscriminatorState {
  Blob parameters;     // [P] float32
  Blob first_moment;   // [P] float32 or empty
  Blob second_moment;  // [P] float32 or empty
  std::uint64_t adam_steps = 0;
};

// Whether a state is one of `parameters` values after at most `most_steps`
// steps of Adam: sizes, finite values, both moments or none, second moments not
// negative. Fails with kCheckpoint.
Result<void> validate_state(const DiscriminatorState& state,
                            std::uint64_t parameters,
                            std::uint64_t most_steps = kMostAdamSteps);

// The answer to one round.
struct PeerFeedback {
  // dLoss_G/dX^g, [b, c, h, w] float32; in the other algorithms the replica or
  // its gradient, [P] float32.
  Blob feedback;
  Blob logits;  // of X^g, [b] float32; empty in the other algorithms
  double generator_loss = 0;
};

class PeerTrainer {
 public:
  virtual ~PeerTrainer() = default;
  PeerTrainer() = default;
  PeerTrainer(const PeerTrainer&) = delete;
  PeerTrainer& operator=(const PeerTrainer&) = delete;

  // Parameters from (seed, peer); Adam at zero.
  virtual void initialise() = 0;

  // Trains on what the server sent for the `steps` rounds that end with
  // `round`: images X^d [b,c,h,w] float32 and labels [b] int32 (empty when
  // unconditional), or a replica [P] float32. Returns D's mean loss.
  virtual double learn(Round round, std::uint32_t steps, const Blob& sent,
                       const Blob& labels) = 0;

  // Then the answer: to the images X^g, or to the replica once more.
  virtual PeerFeedback feedback(const Blob& sent, const Blob& labels) = 0;

  // A copy, so that training may go on while it travels.
  virtual DiscriminatorState snapshot(bool with_optimizer) const = 0;

  // Whether load() would take it: sizes, finite values, second moments not
  // negative. Reads immutable members only, so any thread may call it at any
  // time.
  virtual Result<void> validate(const DiscriminatorState& state) const = 0;

  // Replaces what is kept. When the state carries no moments, this peer's own
  // stay. Unchanged on error.
  virtual Result<void> load(const DiscriminatorState& state) = 0;

  // What it keeps besides, which is saved with the state but does not travel:
  // with `replay` the last generated batches, "replay.images" [n, b, c, h, w]
  // float32 and, if conditional, "replay.labels" [n, b] int32; else nothing.
  virtual std::vector<NamedBlob> history() const = 0;

  // Replaces that by what is among `tensors` and fits this run, the newest L of
  // it; else by nothing: D matters more than what it is trained on for L
  // rounds.
  virtual void load_history(const std::vector<NamedBlob>& tensors) = 0;

  virtual std::uint64_t parameter_count() const = 0;  // P
  // SHA-256 over the schema text; PROTOCOL.md, "Schema".
  virtual const std::array<std::byte, 32>& schema() const = 0;
};

// For the algorithm of `spec`. `shard` indexes into `data`. `device` is "cpu",
// "cuda" or "cuda:i". Fails with kConfiguration (unknown model, no such device)
// or kData (shard smaller than a batch; labels missing for a conditional
// model).
Result<std::unique_ptr<PeerTrainer>> make_peer_trainer(
    const DiscriminatorSpec& spec, std::shared_ptr<const Dataset> data,
    std::vector<std::uint32_t> shard, PeerId peer, const std::string& device);

}  // namespace mdgan
