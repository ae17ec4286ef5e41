// A discriminator in training: its optimiser, and the private shard it draws
// real images from. In every algorithm a peer has one. No sockets. LibTorch
// stays behind the implementation.
//
// Threads: one call at a time; the caller may change threads between calls.
// A function without a Result throws a standard exception when LibTorch fails,
// for lack of memory, say.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/data/dataset.h"
#include "common/privacy/privacy_spec.h"
#include "common/tensor/blob.h"
#include "common/train/discriminator/peer_state.h"
#include "protocol/training_spec.h"

namespace mdgan {

class LedgerBook;

class DiscriminatorTrainer {
 public:
  // `shard` indexes into `data`. `device` is "cpu", "cuda" or "cuda:i". Fails
  // with kConfiguration (unknown model, no such device, what conflict_of()
  // finds in the spec) or kData (a shard smaller than a batch; labels missing
  // for a conditional model). With `privacy`, which outlives this, each step is
  // one with differential privacy for the shard; it fails as
  // PrivateLearner::create(), too.
  static Result<std::unique_ptr<DiscriminatorTrainer>> create(
      const TrainingSpec& spec, std::shared_ptr<const Dataset> data,
      std::vector<std::uint32_t> shard, PeerId peer, const std::string& device,
      const LedgerBook* privacy = nullptr);
  ~DiscriminatorTrainer();
  DiscriminatorTrainer(const DiscriminatorTrainer&) = delete;
  DiscriminatorTrainer& operator=(const DiscriminatorTrainer&) = delete;

  // Draws the parameters from (seed, peer) and resets Adam.
  void initialise();

  // Step 3 of Algorithm 1: draws X_r once, takes L discriminator steps on
  // (X_r, X^d). With `replay` each of them has a new X_r, and the X^d of a
  // round of its own, up to this one's: PROTOCOL.md, section 7. images
  // [b,c,h,w] float32; labels [b] int32, or empty when unconditional. The mean
  // loss of the L steps is in the next feedback. With privacy each step draws
  // an X_r of its own, not from the run's seed, and the loss is that on X^d;
  // when the budget is spent, D stays as it is.
  void learn(Round round, const Blob& images, const Blob& labels);

  // Computes the error feedback on X^g. D and its gradients stay as they are.
  // What learn() was given last, the same bytes, is not sent to the device
  // again: they must not have changed.
  // With `augment` the changes, and where the loss pairs_images() real images,
  // are drawn for the round that was learned last.
  PeerFeedback feedback(const Blob& images, const Blob& labels);

  // Writes the gradient [P] that learn() would step against first into `out`; D
  // stays as it is. Returns the loss.
  // REQUIRES: there is no privacy.
  double gradient(Round round, const Blob& images, const Blob& labels,
                  std::span<float> out);

  // See PeerTrainer (peer/train/peer_trainer.h) for what these promise.
  PeerState snapshot(bool with_optimizer) const;
  Result<void> validate(const PeerState& state) const;
  Result<void> load(const PeerState& state);
  // With ADA the history has "ada.state" [4] int32, too: the probability of the
  // shard's changes, which stays where D goes (adaptive_probability.h).
  std::vector<NamedBlob> history() const;
  void load_history(const std::vector<NamedBlob>& tensors);
  // How many images of each class of the run the shard has. REQUIRES: the model
  // is conditional.
  ClassCounts class_counts() const;
  // What was spent of the shard's budget; nothing without privacy.
  std::optional<PrivacySpent> privacy() const;
  std::uint64_t parameter_count() const;
  const std::array<std::byte, 32>& schema() const;

 private:
  struct Impl;
  explicit DiscriminatorTrainer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mdgan
