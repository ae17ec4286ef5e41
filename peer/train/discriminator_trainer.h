// MD-GAN's peer: a discriminator, its optimiser, and the private shard it draws
// real images from. LibTorch stays behind the implementation.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "peer/train/peer_trainer.h"

namespace mdgan {

class DiscriminatorTrainer final : public PeerTrainer {
 public:
  // As make_peer_trainer().
  static Result<std::unique_ptr<DiscriminatorTrainer>> create(
      const DiscriminatorSpec& spec, std::shared_ptr<const Dataset> data,
      std::vector<std::uint32_t> shard, PeerId peer, const std::string& device);
  ~DiscriminatorTrainer() override;

  void initialise() override;

  // Step 3 of Algorithm 1: draws X_r once, takes L discriminator steps on
  // (X_r, X^d). With `replay` each of them has a new X_r, and the X^d of a
  // round of its own, up to this one's: PROTOCOL.md, section 7. images
  // [b,c,h,w] float32; labels [b] int32, or empty when unconditional. Returns
  // the mean loss of the L steps.
  double learn(Round round, const Blob& images, const Blob& labels);
  double learn(Round round, std::uint32_t, const Blob& images,
               const Blob& labels) override {
    return learn(round, images, labels);
  }

  // Then the error feedback on X^g. D and its gradients are left untouched.
  PeerFeedback feedback(const Blob& images, const Blob& labels) override;

  // The gradient [P] of the loss that learn() would step against first, into
  // `out`; D is left as it is. Returns that loss.
  double gradient(Round round, const Blob& images, const Blob& labels,
                  std::span<float> out);

  DiscriminatorState snapshot(bool with_optimizer) const override;
  Result<void> validate(const DiscriminatorState& state) const override;
  Result<void> load(const DiscriminatorState& state) override;
  std::vector<NamedBlob> history() const override;
  void load_history(const std::vector<NamedBlob>& tensors) override;
  std::uint64_t parameter_count() const override;
  const std::array<std::byte, 32>& schema() const override;

 private:
  struct Impl;
  explicit DiscriminatorTrainer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mdgan
