// The server's part of a round, whatever the algorithm: what it sends to the
// peers, and what it makes of their answers. LibTorch stays behind the
// implementations, one small file for each algorithm: md_gan.cc, fl_gan.cc,
// data_parallel.cc.
//
// Threads: one call at a time; the caller may change threads between calls.
// Where there is no Result, a failure of LibTorch, such as no memory, throws a
// standard exception.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/models/model_summary.h"
#include "common/tensor/blob.h"
#include "common/train/generator/generator_trainer.h"
#include "common/train/generator/sampler.h"
#include "protocol/training_spec.h"
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

  // The tensors of each of the round's batch messages.
  virtual std::vector<std::vector<Blob>> batches(Round round) = 0;

  // Merges the answers in the order given (the caller sorts by peer) and steps.
  // `round` is the last of the `steps` that the answers stand for. Fails with
  // kDiverged like GeneratorTrainer::step().
  // REQUIRES: batches() was called for this round; at least one answer.
  virtual Result<StepReport> step(Round round, std::uint32_t steps,
                                  std::span<const PeerAnswer> answers) = 0;

  // Draws what the generator would draw now, its moving average where there is
  // one, whatever training does later. `reused`, an earlier one of this
  // trainer's, saves making another.
  virtual std::unique_ptr<Sampler> sampler(
      std::unique_ptr<Sampler> reused) const = 0;
  virtual std::uint64_t generator_parameters() const = 0;

  // As GeneratorTrainer's; what is not a generator's begins with
  // "discriminator.".
  virtual std::vector<NamedBlob> snapshot() const = 0;
  virtual Result<void> load(std::span<const NamedBlob> state) = 0;
};

// A trainer, and what the peers must have to take part in its run.
struct MadeTrainer {
  std::unique_ptr<RoundTrainer> trainer;
  ModelSummary summary;
};

// All arithmetic that a server does, as its shell is given it: with LibTorch by
// torch_server() (make_round_trainer.h), by something smaller in tests.
struct ServerArithmetic {
  // Fails with kConfiguration: unknown model, no such device.
  std::function<Result<MadeTrainer>(const GeneratorSpec&, const TrainingSpec&)>
      make_trainer;
  // What a thread that computes does first.
  std::function<void()> start_thread;
  // Measures the generator of a round with images drawn from a seed; empty if
  // nobody wants that.
  std::function<Result<EvaluationRecord>(const Sampler&, Round, std::uint64_t)>
      measure;
};

}  // namespace mdgan
