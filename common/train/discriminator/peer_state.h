// The state that a peer keeps between rounds, and its answer to one: plain
// values without LibTorch.
#pragma once

#include <cstdint>

#include "common/base/result.h"
#include "common/tensor/blob.h"

namespace mdgan {

// More steps than any run takes.
inline constexpr std::uint64_t kMostAdamSteps = std::uint64_t{1} << 62;

// A peer's discriminator or replica, as it travels and as it is saved. Flat:
// all values in the order of the schema, each tensor row-major. The moments are
// empty when the optimiser stays behind (swap_optimizer = false).
struct PeerState {
  Blob parameters;     // [P] float32
  Blob first_moment;   // [P] float32 or empty
  Blob second_moment;  // [P] float32 or empty
  std::uint64_t adam_steps = 0;
};

// Whether a state is one of `parameters` values after at most `most_steps`
// steps of Adam: sizes, finite values, both moments or none, second moments not
// negative. Fails with kCheckpoint.
Result<void> validate_state(const PeerState& state, std::uint64_t parameters,
                            std::uint64_t most_steps = kMostAdamSteps);

// The answer to one round.
struct PeerFeedback {
  // dLoss_G/dX^g, [b, c, h, w] float32; in the other algorithms the replica or
  // its gradient, [P] float32.
  Blob feedback;
  Blob logits;  // of X^g, [b] float32; empty in the other algorithms
  double generator_loss = 0;
  // The mean of the steps that learn() took before; 0 if it took none.
  double discriminator_loss = 0;
};

}  // namespace mdgan
