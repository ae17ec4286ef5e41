// A peer's arithmetic, whatever the run's algorithm: the state it keeps between
// rounds, and its answers to them. LibTorch stays behind the implementations,
// one small file for each algorithm: md_gan.cc, fl_gan.cc, data_parallel.cc.
//
// Threads: one call at a time; the caller may change threads between calls.
// A function without a Result throws a standard exception when LibTorch fails,
// for lack of memory, say.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/data/dataset.h"
#include "common/privacy/privacy_spec.h"
#include "common/tensor/blob.h"
#include "common/train/discriminator/peer_state.h"
#include "protocol/training_spec.h"

namespace mdgan {

class PeerTrainer {
 public:
  virtual ~PeerTrainer() = default;
  PeerTrainer() = default;
  PeerTrainer(const PeerTrainer&) = delete;
  PeerTrainer& operator=(const PeerTrainer&) = delete;

  // Draws the parameters from (seed, peer) and resets Adam.
  virtual void initialise() = 0;

  // Trains on what the server sent for the `steps` rounds that end with
  // `round`: images X^d [b,c,h,w] float32 and labels [b] int32 (empty when
  // unconditional), or a replica [P] float32.
  virtual void learn(Round round, std::uint32_t steps, const Blob& sent,
                     const Blob& labels) = 0;

  // Then computes the answer, to the images X^g or to the replica, with the
  // losses of learn().
  virtual PeerFeedback feedback(const Blob& sent, const Blob& labels) = 0;

  // A copy, so that training may go on while it travels.
  virtual PeerState snapshot(bool with_optimizer) const = 0;

  // Whether load() would take the state: sizes, finite values, second moments
  // not negative. It reads immutable members only, so any thread may call it at
  // any time.
  virtual Result<void> validate(const PeerState& state) const = 0;

  // Replaces this peer's state; its own moments stay if the state carries none.
  // Nothing is changed on error.
  virtual Result<void> load(const PeerState& state) = 0;

  // Tensors that are saved with the state but do not travel: with `replay` the
  // last generated batches, "replay.images" [n, b, c, h, w] float32 and, if
  // conditional, "replay.labels" [n, b] int32; with ADA "ada.state" [4] int32,
  // which belongs to the shard; else nothing.
  virtual std::vector<NamedBlob> history() const = 0;

  // Replaces the history by the newest L batches among `tensors`, or by nothing
  // if they do not fit this run: D is worth more than the batches of L rounds.
  // Without "ada.state" among them ADA goes on as it is.
  virtual void load_history(const std::vector<NamedBlob>& tensors) = 0;

  // What was spent of the privacy budget; nothing where there is none.
  virtual std::optional<PrivacySpent> privacy() const { return std::nullopt; }

  virtual std::uint64_t parameter_count() const = 0;  // P
  // SHA-256 over the schema text; PROTOCOL.md, "Schema".
  virtual const std::array<std::byte, 32>& schema() const = 0;
};

// All arithmetic of a peer, as a value for its shell: torch_peer()
// (make_peer_trainer.h) makes it with LibTorch, tests make a smaller one.
struct PeerArithmetic {
  // Makes a trainer for the algorithm of the spec. The shard indexes into the
  // data. Fails with kConfiguration (unknown model, no such device) or kData
  // (shard smaller than a batch; labels missing for a conditional model).
  std::function<Result<std::unique_ptr<PeerTrainer>>(
      const TrainingSpec&, std::shared_ptr<const Dataset>,
      std::vector<std::uint32_t> shard, PeerId)>
      make_trainer;
  // A thread that computes calls this first.
  std::function<void()> start_thread;
};

}  // namespace mdgan
