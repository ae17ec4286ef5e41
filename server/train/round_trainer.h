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
#include <span>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/tensor/blob.h"
#include "common/train/generator/generator_trainer.h"

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

  // For pictures, evaluation and its number of parameters.
  virtual const GeneratorTrainer& generator() const = 0;

  // As GeneratorTrainer's; what is not a generator's begins with
  // "discriminator.".
  virtual std::vector<NamedBlob> snapshot() const = 0;
  virtual Result<void> load(std::span<const NamedBlob> state) = 0;
};

}  // namespace mdgan
