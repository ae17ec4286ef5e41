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
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/models/model_summary.h"
#include "common/tensor/blob.h"
#include "common/train/generator_trainer.h"
#include "protocol/wire_codecs.h"

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

// Fails with kConfiguration: unknown model, no such device.
Result<std::unique_ptr<RoundTrainer>> make_round_trainer(
    const GeneratorSpec& generator, const DiscriminatorSpec& discriminator,
    const WireCodecs& codecs, const std::string& device);

// The tensors that an answer must have in a run of this spec; `parameters` is
// the summary's.
std::vector<protocol::TensorMeta> answer_metas(const DiscriminatorSpec& spec,
                                               FeedbackCodec codec,
                                               std::uint64_t parameters);

}  // namespace mdgan
