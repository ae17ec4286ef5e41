// The frames of the tensors beside an envelope.
#include <cstddef>
#include <vector>

#include "protocol/codec.h"
#include "protocol/frames.h"
#include "protocol/limits.h"
#include "tests/support/catch.h"

namespace mdgan::test {

using namespace protocol;  // NOLINT: the messages' names

TEST_CASE("a tensor's bytes are the product of its dimensions") {
  CHECK(*byte_size({DType::kFloat32, {10, 1, 28, 28}}) == 31'360);
  CHECK(*byte_size({DType::kInt64, {5}}) == 40);
  CHECK(*byte_size({DType::kBfloat16, {5, 2}}) == 20);
  CHECK(*byte_size({DType::kUint8, {10, 1, 28, 28}}) == 7'840);
  CHECK(*byte_size({DType::kInt8, {7}}) == 7);
  CHECK(*byte_size({DType::kInt8, {kMaxTensorBytes}}) == kMaxTensorBytes);
  CHECK_FALSE(byte_size({DType::kInt8, {kMaxTensorBytes + 1}}).ok());
  CHECK(*byte_size({DType::kInt32, {}}) == 4);
  CHECK(*byte_size({DType::kFloat32, {kMaxTensorBytes / 4}}) ==
        kMaxTensorBytes);
}

TEST_CASE("frames must be exactly those that the envelope announces") {
  const TensorMeta big{DType::kFloat32, {kFrameBytes / 4 + 25}};  // 1 MiB + 100
  const TensorMeta small{DType::kInt32, {10}};
  const std::vector<TensorMeta> both{big, small};
  const auto ok = [&](std::vector<std::size_t> sizes,
                      bool may_be_long = false) {
    auto frames = FrameSequence::of(both, may_be_long);
    REQUIRE(frames.ok());
    for (const std::size_t size : sizes)
      if (!frames->take(size)) return false;
    return frames->complete();
  };
  CHECK(ok({kFrameBytes, 100, 40}));
  CHECK(ok({kFrameBytes, 100, 40}, /*may_be_long=*/true));
  CHECK(ok({kFrameBytes + 100, 40}, true));
  CHECK_FALSE(ok({kFrameBytes + 100, 40}));
  CHECK_FALSE(ok({}));
  CHECK_FALSE(ok({kFrameBytes, 100}));
  CHECK_FALSE(ok({kFrameBytes, 100, 40, 1}));
  CHECK_FALSE(ok({kFrameBytes, 100, 40, 0}));
  CHECK_FALSE(ok({kFrameBytes + 99, 1, 40}, true));
  CHECK_FALSE(ok({kFrameBytes + 101, 40}, true));
  CHECK_FALSE(ok({kFrameBytes + 100, 0, 40}, true));
  CHECK_FALSE(ok({100, kFrameBytes, 40}));
  CHECK_FALSE(ok({kFrameBytes, 99, 40}));
  CHECK_FALSE(ok({kFrameBytes, 100, 41}));
  CHECK_FALSE(ok({40, kFrameBytes, 100}));
  CHECK(FrameSequence().complete());
  CHECK_FALSE(FrameSequence().take(0).ok());
  CHECK(FrameSequence::of(both, false)->bytes() == kFrameBytes + 140);
}

TEST_CASE("a message announces no more frames than there may be") {
  const TensorMeta largest{DType::kUint8, {kMaxTensorBytes}};
  const std::vector<TensorMeta> two(2, largest);
  const std::vector<TensorMeta> eight(8, largest);
  CHECK(FrameSequence::of(two, false).ok());
  CHECK(FrameSequence::of(eight, true).ok());
  std::vector<TensorMeta> more = two;
  more.push_back({DType::kUint8, {1}});
  CHECK_FALSE(FrameSequence::of(more, false).ok());
  more = eight;
  more.push_back({DType::kUint8, {1}});
  CHECK_FALSE(FrameSequence::of(more, true).ok());
  // With short frames there are too many in the end.
  auto frames = FrameSequence::of(eight, true);
  std::size_t taken = 0;
  while (frames->take(kFrameBytes)) ++taken;
  CHECK(taken == kMaxFrames - 1);
}

TEST_CASE("shapes are told to people, as many as they read") {
  CHECK(shapes_text({}) == "no tensor");
  std::vector<TensorMeta> tensors{{DType::kFloat32, {10, 1, 28, 28}},
                                  {DType::kInt8, {}}};
  CHECK(shapes_text(tensors) == "float32 10x1x28x28, int8");
  tensors.resize(9, {DType::kBfloat16, {7}});
  CHECK(shapes_text(tensors) ==
        "float32 10x1x28x28, int8, bfloat16 7, bfloat16 7 and 5 more");
}

TEST_CASE("a tensor is cut into frames of one size, and a rest") {
  // The frames of a tensor of `bytes`, or 0 if these are not they.
  const auto frames = [](std::uint64_t bytes, std::vector<std::size_t> sizes) {
    const TensorMeta tensor{DType::kUint8, {bytes}};
    auto sequence = FrameSequence::of({&tensor, 1}, true);
    REQUIRE(sequence.ok());
    for (const std::size_t size : sizes)
      if (!sequence->take(size)) return std::size_t{0};
    return sequence->complete() ? sizes.size() : 0;
  };
  constexpr std::size_t kShort = kFrameBytes;
  constexpr std::size_t kLong = kLongFrameBytes;
  CHECK(frames(1, {1}) == 1);
  CHECK(frames(kShort, {kShort}) == 1);
  CHECK(frames(kShort + 1, {kShort, 1}) == 2);
  CHECK(frames(kShort + 1, {kShort + 1}) == 1);
  CHECK(frames(kLong, {kShort, kShort, kShort, kShort}) == 4);
  CHECK(frames(kLong, {kLong}) == 1);
  CHECK(frames(kLong + 7, {kLong, 7}) == 2);
  CHECK(frames(2 * kLong, {kLong, kLong}) == 2);
  CHECK(frames(kLong + kShort, {kLong, kShort}) == 2);
  CHECK(frames(kLong + 7, {kLong + 7}) == 0);
  CHECK(frames(kLong, {kShort, kShort, 2 * kShort}) == 0);
  CHECK(frames(kLong, {2 * kShort, 2 * kShort}) == 0);
  CHECK(frames(2 * kLong, {kLong, kShort, kShort, kShort, kShort}) == 0);
  CHECK(frames(kMaxTensorBytes, std::vector<std::size_t>(2048, kShort)) ==
        2048);
}

}  // namespace mdgan::test
