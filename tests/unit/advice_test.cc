// What `mdgan-server advise` says of a network.
#include "server/advice.h"

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/contains.h"

namespace mdgan::test {
namespace {

Result<ParsedCommand> parse(std::initializer_list<const char*> more) {
  std::vector<const char*> arguments{"mdgan-server", "advise",  "--image",
                                     "1x28x28",      "--batch", "10"};
  arguments.insert(arguments.end(), more);
  return parse_server_options(static_cast<int>(arguments.size()),
                              arguments.data());
}

AdviseOptions options(std::initializer_list<const char*> more) {
  const auto parsed = parse(more);
  INFO((parsed ? "" : parsed.error().message));
  REQUIRE(parsed);
  return std::get<AdviseOptions>(*parsed);
}

}  // namespace

TEST_CASE("a round's bytes are those of its tensors", "[advice]") {
  AdviseOptions o = options({"--rtt", "50ms", "--uplink", "20Mbit",
                             "--round-time", "0.025s", "--min-peers", "4"});
  CHECK(o.round_trip == Approx(0.05));
  CHECK(o.bits_per_second == Approx(20e6));
  CHECK(o.computing == Approx(0.025));
  // k = 2: two batches of 10 images of 784 float32; F and ten logits back.
  CHECK(round_bytes(o.training, {}).to_peer == 2 * 31'360);
  CHECK(round_bytes(o.training, {}).from_peer == 31'360 + 40);
  o.training.min_peers = 1;
  CHECK(round_bytes(o.training, {}).to_peer == 31'360);
  o.training.condition = Condition::kProjection;
  CHECK(round_bytes(o.training, {}).to_peer == 31'360 + 40);
  const TensorCodecs small{.image = ImageCodec::kUint8,
                           .feedback = FeedbackCodec::kInt8};
  CHECK(round_bytes(o.training, small).to_peer == 7840 + 40);
  CHECK(round_bytes(o.training, small).from_peer == 7840 + 40 + 40);
}

TEST_CASE("what bounds a round is the round trip, the rate or the arithmetic",
          "[advice]") {
  using enum Expectation::Bound;
  const AdviseOptions far =
      options({"--rtt", "50ms", "--uplink", "100Mbit", "--round-time", "25ms",
               "--min-peers", "4"});
  // 62,720 and 31,400 bytes take 7.53 ms: 1 / (50 + 25 + 7.53 ms).
  const Expectation synchronous = expect(far, 0, {});
  CHECK(synchronous.bound == kRoundTrip);
  CHECK(synchronous.rounds_per_second == Approx(1 / 0.08253).epsilon(1e-3));
  CHECK(expect(far, 1, {}).rounds_per_second ==
        Approx(2 * synchronous.rounds_per_second));
  CHECK(expect(far, 4, {}).bound == kComputing);
  CHECK(expect(far, 4, {}).rounds_per_second == Approx(40));
  const AdviseOptions thin =
      options({"--rtt", "1ms", "--uplink", "2Mbit", "--round-time", "1ms"});
  CHECK(expect(thin, 8, {}).bound == kRate);
  // One batch of 31,360 bytes each way: 250,000 / 31,400 a second.
  CHECK(expect(thin, 8, {}).rounds_per_second == Approx(250'000.0 / 31'400));
}

TEST_CASE("advice takes no more staleness, and no codec, than it needs",
          "[advice]") {
  const auto says = [](std::initializer_list<const char*> more) {
    return advice(options(more));
  };
  CHECK(has(says({"--rtt", "1ms", "--uplink", "10Gbit", "--round-time", "50ms",
                  "--min-peers", "4"}),
            "Take --staleness 0: "));
  const std::string far = says({"--rtt", "50ms", "--uplink", "1Gbit",
                                "--round-time", "25ms", "--min-peers", "4"});
  CHECK(has(far, "Take --staleness 2: "));
  CHECK(has(far, "far-apart.md"));
  CHECK(has(says({"--rtt", "50ms", "--uplink", "10Mbit", "--round-time", "25ms",
                  "--min-peers", "4"}),
            "Take --staleness 4 --image-codec uint8 --feedback-codec "
            "int8: 40.0 rounds/s"));
  CHECK(has(says({"--rtt", "50ms", "--uplink", "1Mbit", "--round-time", "25ms",
                  "--min-peers", "4"}),
            "bounded by the rate"));
}

TEST_CASE("advise says what it lacks", "[advice]") {
  const auto refused = [](std::initializer_list<const char*> more) {
    const auto parsed = parse(more);
    return parsed ? std::string() : parsed.error().message;
  };
  CHECK(has(refused({"--rtt", "5", "--uplink", "1Gbit"}), "50ms"));
  CHECK(has(refused({"--rtt", "-5ms"}), "50ms"));
  CHECK(has(refused({"--rtt", "5ms", "--uplink", "1Gbit"}), "--round-time"));
  CHECK(has(refused({"--rtt", "5ms", "--round-time", "5ms"}), "--uplink"));
  CHECK(has(refused({"--rtt", "5ms", "--uplink", "1Gbit", "--round-time", "5ms",
                     "--algorithm", "fl-gan"}),
            "md-gan"));
}

}  // namespace mdgan::test
