// PROTOCOL.md is what strangers write their peers from: its worked bytes, its
// numbers and its names are compared with the code.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "protocol/codec.h"
#include "protocol/limits.h"
#include "protocol/tensor_codecs.h"
#include "tests/protocol/examples.h"
#include "tests/support/catch.h"

namespace mdgan::test {
namespace {

const std::vector<std::string>& document() {
  static const std::vector<std::string> kLines = [] {
    std::ifstream file(MDGAN_SOURCE_DIR "/protocol/PROTOCOL.md");
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
  }();
  REQUIRE_FALSE(kLines.empty());
  return kLines;
}

bool has_line_starting(const std::string& start) {
  for (const std::string& line : document())
    if (line.rfind(start, 0) == 0) return true;
  return false;
}

// The bytes of the block fenced by "```hex NAME"; each line is hex, then
// optionally "#" and an explanation.
std::string hex_block(const std::string& name) {
  std::string hex;
  bool inside = false;
  for (const std::string& line : document()) {
    if (line == "```hex " + name) {
      inside = true;
    } else if (inside && line == "```") {
      return hex;
    } else if (inside) {
      for (const char c : line.substr(0, line.find('#')))
        if (c != ' ') hex += c;
    }
  }
  return hex;
}

std::string hex_of(const std::vector<std::byte>& bytes) {
  std::string hex;
  for (const std::byte b : bytes) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", std::to_integer<unsigned>(b));
    hex += digits;
  }
  return hex;
}

}  // namespace

TEST_CASE("the bytes of version 3 are those that PROTOCOL.md shows") {
  const RunId run = counting_bytes<16>(0);
  const TensorMeta images{DType::kFloat32, {10, 1, 28, 28}};
  const TensorMeta logits{DType::kFloat32, {10}};
  const std::map<std::string, Message> worked{
      {"hello",
       {{},
        0,
        Round{0},
        PeerId{0},
        Hello{1,
              "ann",
              -1,
              60'000,
              {1, 28, 28, 2},
              "tcp://*:40001",
              0x0123456789abcdef,
              {},
              {},
              {"image-uint8", "feedback-int8"},
              {"cat", "dog"},
              {20'000, 40'000}}}},
      {"round", {run, 1, Round{300}, PeerId{2}, RoundBegin{0, 1}}},
      {"feedback",
       {run, 1, Round{300}, PeerId{2},
        Feedback{0, 1.25, 0.5, 0.015625, {images, logits}}}},
  };
  for (const auto& [name, message] : worked) {
    INFO(name);
    CHECK(hex_of(encode(message)) == hex_block(name));
  }
}

TEST_CASE("the tensors of an int8 feedback are those that PROTOCOL.md shows") {
  const TensorMeta values{DType::kInt8, {10, 1, 28, 28}};
  const TensorMeta one_each{DType::kFloat32, {10}};
  const std::string message =
      hex_of(encode({{},
                     1,
                     Round{1},
                     PeerId{0},
                     Feedback{0, 0, 0, 0, {values, one_each, one_each}}}));
  const std::string tensors = hex_block("tensors");
  REQUIRE_FALSE(tensors.empty());
  CHECK(message.ends_with(tensors));
}

TEST_CASE("PROTOCOL.md numbers the messages as the code does") {
  for (const Message& message : one_of_each()) {
    const std::vector<std::byte> bytes = encode(message);
    const int number = std::to_integer<int>(bytes[3]);
    const std::string row = "| " + std::to_string(number) + " | `" +
                            std::string(type_name(message.body)) + "` |";
    INFO(row);
    CHECK(has_line_starting(row));
  }
}

TEST_CASE("what-leaves-a-site.md lists exactly the messages that do") {
  std::ifstream file(MDGAN_SOURCE_DIR "/docs/what-leaves-a-site.md");
  std::set<std::string> listed;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("## ")) inside = line == "## Every kind of message";
    if (inside && line.starts_with("| `"))
      listed.insert(line.substr(3, line.find('`', 3) - 3));
  }
  std::set<std::string> sent;
  for (const Message& message : one_of_each())
    if (sent_by_peers(message.body)) sent.emplace(type_name(message.body));
  CHECK(listed == sent);
}

TEST_CASE("PROTOCOL.md tells how large a frame a socket takes") {
  const auto taken = [](std::size_t frame) {
    return std::to_string(frame + kFrameAllowance);
  };
  const std::string row = "| **MAXMSGSIZE** (of one frame) | " +
                          taken(kFrameBytes) + "; with long frames " +
                          taken(kLongFrameBytes) + " | " + taken(kFrameBytes) +
                          " |";
  INFO(row);
  CHECK(has_line_starting(row));
}

TEST_CASE("PROTOCOL.md lists the limits of the code") {
  const std::map<std::string, std::uint64_t> limits{
      {"bytes of an envelope", kMaxEnvelopeBytes},
      {"elements of a msgpack array", kMaxArray},
      {"bytes of a string", kMaxString},
      {"bytes of a binary", kMaxBin},
      {"depth of nested arrays", kMaxDepth},
      {"bytes of a tensor frame", kFrameBytes},
      {"bytes of a long tensor frame", kLongFrameBytes},
      {"frames of a message", kMaxFrames},
      {"bytes that a chunk brings", kChunkBytes},
      {"bytes that the seal adds to a chunk", kSealAllowance},
      {"chunks that the target has not taken yet", kChunkWindow},
      {"bytes of unfinished messages at a receiver", kMaxUnfinishedBytes},
      {"tensors of a message", kMaxTensors},
      {"rank of a tensor", kMaxRank},
      {"bytes of a tensor", kMaxTensorBytes},
      {"images of a batch", kMaxBatch},
      {"local steps", kMaxLocalSteps},
      {"bytes of the generated images kept for `replay`, 4 L b c h w",
       kMaxTensorBytes},
      {"image height and width", kMaxImageSide},
      {"image channels", kMaxChannels},
      {"classes", kMaxClasses},
      {"classes with names", kMaxNamedClasses},
      {"bytes of a class's name", kMaxClassName},
      {"bytes of all classes' names", kMaxClassNameBytes},
      {"peers", kMaxPeers},
      {"saved discriminators offered in a hello", kMaxOffers},
      {"abilities in a hello, codecs in a welcome", kMaxAbilities},
      {"rounds that a peer is asked ahead", kMaxStaleness},
  };
  for (const auto& [what, limit] : limits) {
    const std::string row = "| " + what + " | " + std::to_string(limit) + " |";
    INFO(row);
    CHECK(has_line_starting(row));
  }
}

TEST_CASE("PROTOCOL.md tells the version and names every codec") {
  CHECK(has_line_starting("# The MD-GAN wire protocol, version " +
                          std::to_string(kMajor) + "." +
                          std::to_string(kMinor)));
  for (const std::string& name : known_codecs())
    CHECK(has_line_starting("| `" + name + "` |"));
}

TEST_CASE("PROTOCOL.md lists the size of every type that travels") {
  const std::map<std::string, DType> types{
      {"float32", DType::kFloat32},   {"int32", DType::kInt32},
      {"bfloat16", DType::kBfloat16}, {"uint8", DType::kUint8},
      {"int8", DType::kInt8},         {"float64", DType::kFloat64}};
  for (const auto& [name, type] : types) {
    const std::string numbers = " | " + std::to_string(static_cast<int>(type)) +
                                " | " + std::to_string(bytes_of(type)) + " |";
    const std::string begin = "| " + name;
    INFO(begin << numbers);
    CHECK(std::ranges::any_of(document(), [&](const std::string& line) {
      return line.starts_with(begin) && line.ends_with(numbers);
    }));
  }
}

TEST_CASE("PROTOCOL.md names every loss and every condition") {
  for (const auto& [loss, name] : kLossNames)
    CHECK(has_line_starting("| `" + std::string(name) + "` |"));
  for (const auto& [condition, name] : kConditionNames)
    CHECK(has_line_starting("| `" + std::string(name) + "` |"));
}

}  // namespace mdgan::test
