#include "protocol/tensor_codecs.h"

#include <set>

#include "protocol/limits.h"
#include "tests/support/catch.h"

namespace mdgan::test {

using namespace protocol;  // NOLINT: the messages' names
namespace {

std::vector<TensorCodecs> all_combinations() {
  std::vector<TensorCodecs> all;
  for (const auto& image : kImageCodecNames)
    for (const auto& feedback : kFeedbackCodecNames)
      for (const auto& swap : kSwapCodecNames)
        all.push_back({image.first, feedback.first, swap.first});
  return all;
}

}  // namespace

TEST_CASE("the names of a run's codecs say which they are") {
  CHECK(codec_names({}).empty());
  std::set<std::vector<std::string>> distinct;
  for (const TensorCodecs& codecs : all_combinations()) {
    const auto names = codec_names(codecs);
    distinct.insert(names);
    const auto back = parse_codecs(names);
    REQUIRE(back.ok());
    CHECK(*back == codecs);
  }
  CHECK(distinct.size() == 12);
}

TEST_CASE("a hello offers every codec that a welcome may name") {
  const auto known = known_codecs();
  CHECK(known_abilities().size() + 1 <= kMaxAbilities);  // and kLongFrames
  const std::set<std::string> offered(known.begin(), known.end());
  for (const TensorCodecs& codecs : all_combinations())
    for (const std::string& name : codec_names(codecs))
      CHECK(offered.contains(name));
}

TEST_CASE("an unknown codec is a configuration error that names it") {
  for (const char* name : {"image-jpeg", "image-float32", "logits-int8",
                           "image", "-uint8", "image-int8"}) {
    INFO(name);
    const std::vector<std::string> names{"swap-bfloat16", name};
    const auto codecs = parse_codecs(names);
    REQUIRE_FALSE(codecs.ok());
    CHECK(codecs.error().code == ExitCode::kConfiguration);
    CHECK(codecs.error().message.find("'" + std::string(name) + "'") !=
          std::string::npos);
  }
}

TEST_CASE("two codecs for one use contradict each other") {
  const std::vector<std::string> names{"feedback-int8", "feedback-bfloat16"};
  const auto codecs = parse_codecs(names);
  REQUIRE_FALSE(codecs.ok());
  CHECK(codecs.error().message.find("feedback-bfloat16") != std::string::npos);
}

}  // namespace mdgan::test
