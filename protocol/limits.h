// What a receiver accepts at most. Everything is checked before memory is
// allocated for it. PROTOCOL.md lists these numbers; a test compares the two.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mdgan::protocol {

// The longest is a hello with as many class names as there may be; others are
// far shorter.
inline constexpr std::size_t kMaxEnvelopeBytes = 40'960;
inline constexpr std::uint32_t kMaxArray = 1024;
inline constexpr std::uint32_t kMaxString = 512;
inline constexpr std::uint32_t kMaxBin = 512;
inline constexpr std::size_t kMaxDepth = 5;

// Tensors travel in frames of this size; only a tensor's last frame is shorter.
inline constexpr std::size_t kFrameBytes = std::size_t{1} << 20;
// To a peer that asks for long frames they travel in frames of this size.
inline constexpr std::size_t kLongFrameBytes = std::size_t{4} << 20;
// A transfer that is relayed travels in chunks of so many bytes, which the seal
// makes a little longer.
inline constexpr std::size_t kChunkBytes = std::size_t{1} << 16;
inline constexpr std::size_t kSealAllowance = 64;
// Chunks on their way that the target has not taken yet.
inline constexpr std::uint32_t kChunkWindow = 16;
// MAXMSGSIZE is so much more: CURVE, for one, adds 33 bytes to a frame.
inline constexpr std::size_t kFrameAllowance = 4096;
// Frames of one message, the envelope included: 4 GiB of tensors, or 16.
inline constexpr std::size_t kMaxFrames = 4097;
// A receiver keeps so many bytes of all messages of which frames are still to
// come.
inline constexpr std::uint64_t kMaxUnfinishedBytes = std::uint64_t{4} << 30;
inline constexpr std::size_t kMaxTensors = 8;
inline constexpr std::size_t kMaxRank = 8;
// Largest tensor: 2 GiB.
inline constexpr std::uint64_t kMaxTensorBytes = std::uint64_t{1} << 31;

inline constexpr std::uint32_t kMaxBatch = 65'536;
inline constexpr std::uint32_t kMaxLocalSteps = 1000;
inline constexpr std::uint32_t kMaxImageSide = 4096;
inline constexpr std::uint32_t kMaxChannels = 64;
inline constexpr std::uint32_t kMaxClasses = 65'536;
// Classes of a run that uses labels, the bytes of a name, and of all together.
inline constexpr std::uint32_t kMaxNamedClasses = 1024;
inline constexpr std::size_t kMaxClassName = 255;
inline constexpr std::size_t kMaxClassNameBytes = 24'576;
inline constexpr std::uint32_t kMaxLatent = 65'536;
inline constexpr std::uint32_t kMaxPeers = 65'536;
// Saved discriminators that a peer may offer in its hello.
inline constexpr std::size_t kMaxOffers = 48;
// Codecs named in a hello or a welcome.
inline constexpr std::size_t kMaxAbilities = 16;
// Rounds that a peer is asked ahead of the one that it has not answered.
inline constexpr std::uint32_t kMaxStaleness = 16;

}  // namespace mdgan::protocol
