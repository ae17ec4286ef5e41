// The server of the algorithms in which every peer holds a replica, a whole GAN
// (peer/train/replica_peer_trainer.h): it keeps the one that counts and sends
// it every round. LibTorch in the header.
#pragma once

#include <torch/types.h>

#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "common/train/discriminator/trained_discriminator.h"
#include "server/train/algorithms.h"

namespace mdgan {

class ReplicaRoundTrainer : public RoundTrainer {
 public:
  // Makes D like peer 0's.
  ReplicaRoundTrainer(std::unique_ptr<GeneratorTrainer> generator,
                      TrainedDiscriminator discriminator);

  std::vector<std::vector<Blob>> batches(
      Round round, std::span<const ClassCounts> labels) override;
  std::unique_ptr<Sampler> sampler(
      std::unique_ptr<Sampler> reused) const override {
    return g->sampler(std::move(reused));
  }
  std::uint64_t generator_parameters() const override {
    return g->parameter_count();
  }
  std::vector<NamedBlob> snapshot() const override;
  Result<void> load(std::span<const NamedBlob> state) override;

 protected:
  std::size_t generator_size() const { return g->weight_count(); }

  const std::unique_ptr<GeneratorTrainer> g;
  TrainedDiscriminator d;  // on the CPU
};

// The weighted mean of the answers' first tensors [P] float32, on the CPU,
// summed (common/merge/merge.h) in the order given.
// REQUIRES: at least one answer; a positive weight for each.
torch::Tensor mean_of(std::span<const PeerAnswer> answers,
                      std::span<const double> weights);

Result<TrainedDiscriminator> make_replica_discriminator(
    const TrainingSpec& spec);

template <typename Server>
MadeRoundTrainer make_replica_round_trainer(std::unique_ptr<GeneratorTrainer> g,
                                            const TrainingSpec& spec) {
  auto d = make_replica_discriminator(spec);
  if (!d) return d.error();
  return std::unique_ptr<RoundTrainer>(
      std::make_unique<Server>(std::move(g), std::move(*d)));
}

}  // namespace mdgan
