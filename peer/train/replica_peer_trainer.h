// A peer of the algorithms that MD-GAN is compared with: it holds a whole GAN,
// the replica, which the server sends every round: [P] float32, the generator's
// weights (GeneratorTrainer::copy_weights()), then D's parameters. The Adam
// moments of both stay here.
//
// Each algorithm has a small file with its train(): fl_gan.cc,
// data_parallel.cc.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/train/discriminator/discriminator_trainer.h"
#include "common/train/generator/generator_trainer.h"
#include "peer/train/algorithms.h"
#include "peer/train/peer_trainer.h"

namespace mdgan {

class ReplicaPeerTrainer : public PeerTrainer {
 public:
  void initialise() override;
  void learn(Round round, std::uint32_t steps, const Blob& sent,
             const Blob& labels) final;
  PeerFeedback feedback(const Blob& sent, const Blob& labels) final;
  PeerState snapshot(bool with_optimizer) const override;
  Result<void> validate(const PeerState& state) const override;
  Result<void> load(const PeerState& state) override;
  std::vector<NamedBlob> history() const override { return d->history(); }
  void load_history(const std::vector<NamedBlob>& tensors) override {
    d->load_history(tensors);
  }
  std::uint64_t parameter_count() const override { return parameters_; }
  const std::array<std::byte, 32>& schema() const override { return schema_; }

 protected:
  struct Losses {
    double discriminator = 0;
    double generator = 0;
  };
  // Trains `g` and `d`, which hold what the server sent, and writes the answer
  // [P].
  virtual Losses train(Round round, std::uint32_t steps,
                       std::span<float> answer) = 0;
  // Both parts of [P].
  std::span<float> generator_part(std::span<float> replica) const;
  std::span<float> discriminator_part(std::span<float> replica) const;
  void copy_replica(std::span<float> out) const;

  TrainingSpec spec;
  PeerId peer;
  std::unique_ptr<GeneratorTrainer> g;  // k = 1, the peer's own latents
  std::unique_ptr<DiscriminatorTrainer> d;
  std::vector<ClassCounts> label_counts;  // of its batch; empty: uniform

 private:
  friend MadePeerTrainer prepare_replica(
      std::unique_ptr<ReplicaPeerTrainer> trainer, PeerTrainerSetting setting);

  void set_replica(const Blob& replica);

  std::string device_;
  std::uint64_t parameters_ = 0;
  std::array<std::byte, 32> schema_{};
  Blob answer_;
  Losses losses_;
};

// Fills in all that does not depend on the algorithm. Fails like
// make_peer_trainer().
MadePeerTrainer prepare_replica(std::unique_ptr<ReplicaPeerTrainer> trainer,
                                PeerTrainerSetting setting);

}  // namespace mdgan
