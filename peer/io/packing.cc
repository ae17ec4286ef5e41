#include "peer/io/packing.h"

#include <utility>

#include "common/tensor/quantise.h"

namespace mdgan {
namespace {

template <typename Change>
PeerState with_each(PeerState state, Change change) {
  for (Blob* blob :
       {&state.parameters, &state.first_moment, &state.second_moment})
    if (!blob->empty()) *blob = change(*blob);
  return state;
}

}  // namespace

std::vector<Blob> pack_feedback(const PeerFeedback& answer, FeedbackCodec codec,
                                std::uint64_t key) {
  switch (codec) {
    case FeedbackCodec::kFloat32:
      if (answer.logits.empty()) return {answer.feedback};
      return {answer.feedback, answer.logits};
    case FeedbackCodec::kBfloat16:
      return {to_bfloat16(answer.feedback), answer.logits};
    case FeedbackCodec::kInt8: {
      ScaledInt8 packed = to_int8(answer.feedback, key);
      return {packed.values, answer.logits, packed.scales};
    }
  }
  return {};
}

PeerState pack_state(PeerState state, SwapCodec codec) {
  if (codec != SwapCodec::kBfloat16) return state;
  return with_each(std::move(state), to_bfloat16);
}

PeerState unpack_state(PeerState state) {
  return with_each(std::move(state), from_bfloat16);
}

}  // namespace mdgan
