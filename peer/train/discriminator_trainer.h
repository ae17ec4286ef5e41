// A peer's arithmetic: its discriminator, the optimiser, and the private shard
// it draws real images from. No sockets. LibTorch stays behind the
// implementation.
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

// A discriminator as it travels and as it is saved. Flat: all parameters in the
// order of the schema, each row-major. The moments are empty when the optimiser
// stays behind (swap_optimizer = false).
struct DiscriminatorState {
  Blob parameters;     // [P] float32
  Blob first_moment;   // [P] float32 or empty
  Blob second_moment;  // [P] float32 or empty
  std::uint64_t adam_steps = 0;
};

// The answer to one round.
struct PeerFeedback {
  Blob feedback;  // dLoss_G/dX^g, [b, c, h, w] float32
  Blob logits;    // of X^g, [b] float32
  double generator_loss = 0;
};

class DiscriminatorTrainer {
 public:
  // `shard` indexes into `data`. `device` is "cpu", "cuda" or "cuda:i". Fails
  // with kConfiguration (unknown model, no such device) or kData (shard smaller
  // than a batch; labels missing for a conditional model).
  static Result<std::unique_ptr<DiscriminatorTrainer>> create(
      const DiscriminatorSpec& spec, std::shared_ptr<const Dataset> data,
      std::vector<std::uint32_t> shard, PeerId peer, const std::string& device);
  ~DiscriminatorTrainer();
  DiscriminatorTrainer(const DiscriminatorTrainer&) = delete;
  DiscriminatorTrainer& operator=(const DiscriminatorTrainer&) = delete;

  // Parameters from (seed, peer); Adam at zero.
  void initialise();

  // Steps 3 of Algorithm 1: draws X_r once, takes L discriminator steps on
  // (X_r, X^d). images [b,c,h,w] float32; labels [b] int32, or empty when
  // unconditional. Returns the mean loss of the L steps.
  double learn(Round round, const Blob& images, const Blob& labels);

  // Then the error feedback on X^g. D and its gradients are left untouched.
  PeerFeedback feedback(const Blob& images, const Blob& labels);

  // A copy, so that training may go on while it travels.
  DiscriminatorState snapshot(bool with_optimizer) const;

  // Whether load() would take it: sizes, finite values, second moments not
  // negative. Reads immutable members only, so any thread may call it at any
  // time.
  Result<void> validate(const DiscriminatorState& state) const;

  // Replaces D. When the state carries no moments, this peer's own stay.
  // Unchanged on error.
  Result<void> load(const DiscriminatorState& state);

  std::uint64_t parameter_count() const;
  // SHA-256 over the schema text; PROTOCOL.md, "Schema".
  const std::array<std::byte, 32>& schema() const;

 private:
  struct Impl;
  explicit DiscriminatorTrainer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mdgan
