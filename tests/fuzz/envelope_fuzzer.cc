// An envelope as anybody may send it, and the sizes of the frames after it.
// What is decoded must survive being encoded, and a sequence of frames must
// take exactly the bytes that the envelope announces.

#include "protocol/codec.h"
#include "protocol/frames.h"
#include "protocol/limits.h"
#include "tests/fuzz/input.h"

namespace mdgan::test {
namespace {

using namespace mdgan::protocol;

void encode_again(const Message& message) {
  const std::vector<std::byte> bytes = encode(message);
  require(bytes.size() <= kMaxEnvelopeBytes, "an envelope fits its limit");
  const Result<Message> again = decode(bytes);
  require(again.ok(), "what was encoded is decoded");
  // Texts for people are cleaned once; a NaN is not equal to itself.
  require(encode(*again) == bytes, "encoding again gives the same bytes");
}

// Takes `tensors` in the frames that are due, each of them by chance of
// another size.
void take_frames(std::span<const TensorMeta> tensors, Input sizes) {
  const bool may_be_long = sizes.below(2) == 1;
  Result<FrameSequence> frames = FrameSequence::of(tensors, may_be_long);
  if (!frames) return;
  const std::uint64_t announced = frames->bytes();
  std::uint64_t taken = 0;
  const std::size_t cut =
      may_be_long && sizes.below(2) == 1 ? kLongFrameBytes : kFrameBytes;
  std::uint64_t left = 0;
  for (std::size_t n = 0; !frames->complete() && n <= kMaxFrames; ++n) {
    const auto whole = byte_size(tensors[frames->tensor()]);
    require(whole.ok(), "a tensor of a sequence has a size");
    if (left == 0) left = *whole;
    const std::size_t due = left < cut ? static_cast<std::size_t>(left) : cut;
    const std::uint8_t odd = sizes.below(64);
    if (odd >= 62 && !sizes.empty()) {
      FrameSequence other = *frames;
      const std::size_t wrong = odd == 62 ? due + 1 : due - 1;
      if (other.take(wrong).ok())
        require(may_be_long || wrong <= kFrameBytes,
                "no frame is longer than allowed");
    }
    require(frames->take(due).ok(), "a frame that is due is taken");
    taken += due;
    left -= due;
  }
  require(frames->complete(), "a sequence ends within its limit");
  require(taken == announced, "as many bytes come as are announced");
  require(!frames->take(1).ok(), "nothing comes after the last frame");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  // The sizes stand at the end, so that the envelope begins the input.
  const Input sizes(data + size - (size < 16 ? size : 16),
                    size < 16 ? size : 16);
  const Result<Message> message = decode(std::as_bytes(std::span(data, size)));
  if (!message) {
    require(!message.error().message.empty(), "an error has a text");
    return 0;
  }
  encode_again(*message);
  take_frames(tensors_of(message->body), sizes);
  return 0;
}

}  // namespace mdgan::test
