// In which form the large tensors travel: PROTOCOL.md, "Codecs". float32 is
// what everybody can; hello names the smaller forms that a peer can do, welcome
// those that the server's configuration asks for. (The messages themselves are
// codec.h's business.)
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/result.h"

namespace mdgan {

enum class ImageCodec { kFloat32, kUint8 };
inline constexpr std::array<std::pair<ImageCodec, std::string_view>, 2>
    kImageCodecNames{{
        {ImageCodec::kFloat32, "float32"},
        {ImageCodec::kUint8, "uint8"},
    }};

enum class FeedbackCodec { kFloat32, kBfloat16, kInt8 };
inline constexpr std::array<std::pair<FeedbackCodec, std::string_view>, 3>
    kFeedbackCodecNames{{
        {FeedbackCodec::kFloat32, "float32"},
        {FeedbackCodec::kBfloat16, "bfloat16"},
        {FeedbackCodec::kInt8, "int8"},
    }};

enum class SwapCodec { kFloat32, kBfloat16 };
inline constexpr std::array<std::pair<SwapCodec, std::string_view>, 2>
    kSwapCodecNames{{
        {SwapCodec::kFloat32, "float32"},
        {SwapCodec::kBfloat16, "bfloat16"},
    }};

// What one run uses.
struct TensorCodecs {
  ImageCodec image = ImageCodec::kFloat32;
  FeedbackCodec feedback = FeedbackCodec::kFloat32;
  SwapCodec swap = SwapCodec::kFloat32;
  friend bool operator==(const TensorCodecs&, const TensorCodecs&) = default;
};

namespace protocol {

// What welcome says of a run: the names of what is not float32, such as
// "image-uint8".
std::vector<std::string> codec_names(const TensorCodecs& codecs);

// All the names there are.
std::vector<std::string> known_codecs();

// What hello says of this program: those, the algorithms besides MD-GAN,
// kRelay and kRoundsAhead.
std::vector<std::string> known_abilities();

// The peer can send and receive discriminators by way of the server.
inline constexpr std::string_view kRelay = "relay";

// The peer takes rounds before it has answered those that came before.
inline constexpr std::string_view kRoundsAhead = "rounds-ahead";

// What it also says where the peer has images to measure the generator with.
inline constexpr std::string_view kEvaluation = "evaluation";

// What it also says where the peer wants its batches in frames of
// kLongFrameBytes.
inline constexpr std::string_view kLongFrames = "long-frames";

// The reverse of codec_names(). Fails with kConfiguration, naming a codec that
// this program does not know, or one that another contradicts.
Result<TensorCodecs> parse_codecs(std::span<const std::string> names);

}  // namespace protocol
}  // namespace mdgan
