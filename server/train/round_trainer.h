// The server's part of a round, whatever the algorithm: it makes the batches
// for the peers and merges their answers. LibTorch stays behind the
// implementations, one small file for each algorithm: md_gan.cc, fl_gan.cc,
// data_parallel.cc.
//
// Threads: one call at a time; the caller may change threads between calls.
// A function without a Result throws a standard exception when LibTorch fails,
// for lack of memory, say.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/models/model_summary.h"
#include "common/tensor/blob.h"
#include "common/train/generator/generator_trainer.h"
#include "common/train/generator/sampler.h"
#include "protocol/training_spec.h"
#include "server/evaluate/evaluation_at_peers.h"
#include "server/evaluate/evaluation_record.h"

namespace mdgan {

// One peer's answer to a round.
struct PeerAnswer {
  PeerId peer;
  std::uint32_t batch = 0;  // MD-GAN: to which of the k
  std::uint64_t shard_size = 0;
  std::vector<Blob> tensors;  // as answer_metas() says; all values are finite
};

class RoundTrainer {
 public:
  virtual ~RoundTrainer() = default;
  RoundTrainer() = default;
  RoundTrainer(const RoundTrainer&) = delete;
  RoundTrainer& operator=(const RoundTrainer&) = delete;

  // The tensors of each of the round's batch messages. `labels` is as
  // GeneratorTrainer::generate()'s; where peers have a replica, they draw the
  // labels and it is not used.
  virtual std::vector<std::vector<Blob>> batches(
      Round round, std::span<const ClassCounts> labels) = 0;

  // Merges the answers in the order given (the caller sorts by peer) and steps.
  // `round` is the last of the `steps` that the answers stand for. Fails with
  // kDiverged like GeneratorTrainer::step().
  // REQUIRES: batches() was called for this round; at least one answer.
  virtual Result<StepReport> step(Round round, std::uint32_t steps,
                                  std::span<const PeerAnswer> answers) = 0;

  // Returns a sampler that draws what the generator would draw now (its moving
  // average where there is one), whatever training does later. `reused`, an
  // earlier one of this trainer's, saves making another.
  virtual std::unique_ptr<Sampler> sampler(
      std::unique_ptr<Sampler> reused) const = 0;
  virtual std::uint64_t generator_parameters() const = 0;

  // Like GeneratorTrainer's; names of tensors that are not the generator's
  // begin with "discriminator.".
  virtual std::vector<NamedBlob> snapshot() const = 0;
  virtual Result<void> load(std::span<const NamedBlob> state) = 0;
};

// A trainer, and what the peers must have to take part in its run.
struct MadeTrainer {
  std::unique_ptr<RoundTrainer> trainer;
  ModelSummary summary;
};

// All arithmetic of a server, as a value for its shell: torch_server()
// (make_round_trainer.h) makes it with LibTorch, tests make a smaller one.
struct ServerArithmetic {
  // Fails with kConfiguration: unknown model, no such device.
  std::function<Result<MadeTrainer>(const GeneratorSpec&, const TrainingSpec&)>
      make_trainer;
  // A thread that computes calls this first.
  std::function<void()> start_thread;
  // Measures the generator of a round with images drawn from a seed; empty if
  // the run is not evaluated.
  std::function<Result<EvaluationRecord>(const Sampler&, Round, std::uint64_t)>
      measure;
  // Has it measured by the peers instead.
  std::optional<EvaluationAtPeers> at_peers;
};

}  // namespace mdgan
