// What leaves a peer, in the form in which it travels: the run's codecs
// (protocol/tensor_codecs.h) applied to the feedback F and to discriminators.
// The server unpacks F as it merges it (common/merge/merge.h).
#pragma once

#include <cstdint>
#include <vector>

#include "common/tensor/blob.h"
#include "peer/train/peer_trainer.h"
#include "protocol/tensor_codecs.h"

namespace mdgan {

// The tensors of a `feedback` message, as PROTOCOL.md, "Codecs", has them: F
// [b, c, h, w] by the codec, D's logits [b] float32 where the algorithm has
// them, and int8's scales [b] float32. `key` decides how int8 rounds.
std::vector<Blob> pack_feedback(const PeerFeedback& answer, FeedbackCodec codec,
                                std::uint64_t key);

// A discriminator as it travels to another peer, and in float32 again.
PeerState pack_state(PeerState state, SwapCodec codec);
PeerState unpack_state(PeerState state);

}  // namespace mdgan
