#include "protocol/codec.h"

#include <algorithm>
#include <limits>
#include <msgpack.hpp>
#include <string>
#include <vector>

#include "protocol/frames.h"
#include "protocol/limits.h"
#include "tests/protocol/examples.h"
#include "tests/support/catch.h"

namespace mdgan::test {
namespace {

using Packer = msgpack::packer<msgpack::sbuffer>;

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}
std::span<const std::byte> bytes_of(const msgpack::sbuffer& buffer) {
  return std::as_bytes(std::span(buffer.data(), buffer.size()));
}

// The error of `decode`, or "" if it took the bytes.
std::string refusal(std::span<const std::byte> envelope) {
  const Result<Message> message = decode(envelope);
  return message.ok() ? "" : message.error().message;
}

bool contains(const std::string& text, const std::string& part) {
  INFO(text);
  return text.find(part) != std::string::npos;
}

// The first seven fields of an envelope; the caller packs the body's array.
void pack_header(Packer& p, std::uint32_t type, std::uint32_t major = kMajor,
                 std::uint32_t minor = kMinor, std::uint32_t peer = 0) {
  p.pack_array(8);
  p.pack(major);
  p.pack(minor);
  p.pack(type);
  p.pack_bin(16);
  p.pack_bin_body("0123456789abcdef", 16);
  p.pack(1);
  p.pack(2);
  p.pack(peer);
}

// A feedback whose fields are given by `tensors` and `loss` packers.
template <typename PackLoss, typename PackTensors>
std::string feedback_refusal(PackLoss loss, PackTensors tensors) {
  msgpack::sbuffer buffer;
  Packer p(buffer);
  pack_header(p, 5);
  p.pack_array(5);
  p.pack(0);
  loss(p);
  p.pack(0.5);
  p.pack(0.5);
  tensors(p);
  return refusal(bytes_of(buffer));
}

void no_tensors(Packer& p) { p.pack_array(0); }
void zero(Packer& p) { p.pack(0); }

auto one_tensor(std::vector<std::uint64_t> dims, int dtype = 1) {
  return [dims, dtype](Packer& p) {
    p.pack_array(1);
    p.pack_array(2);
    p.pack(dtype);
    p.pack(dims);
  };
}

}  // namespace

TEST_CASE("every message comes back as it was sent") {
  for (const Message& message : one_of_each()) {
    INFO(type_name(message.body));
    const std::vector<std::byte> bytes = encode(message);
    CHECK(bytes.size() <= kMaxEnvelopeBytes);
    const Result<Message> back = decode(bytes);
    REQUIRE(back.ok());
    CHECK(*back == message);
  }
}

TEST_CASE("random messages come back as they were sent") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    INFO("seed " << seed);
    Random random(seed, Purpose::kSimulation);
    for (const Message& message : random_messages(random)) {
      INFO(type_name(message.body));
      const Result<Message> back = decode(encode(message));
      INFO((back.ok() ? "" : back.error().message));
      REQUIRE(back.ok());
      REQUIRE(*back == message);
    }
  }
}

TEST_CASE("tensors_of gives the list of the messages that have one") {
  std::vector<std::string> with_tensors;
  for (const Message& message : one_of_each())
    if (!tensors_of(message.body).empty())
      with_tensors.emplace_back(type_name(message.body));
  CHECK(with_tensors == std::vector<std::string>{"batch", "feedback",
                                                 "transfer", "chunk",
                                                 "evaluate", "evaluated"});
}

TEST_CASE("every proper prefix of a message is refused") {
  for (const Message& message : one_of_each()) {
    const std::vector<std::byte> bytes = encode(message);
    for (std::size_t n = 0; n < bytes.size(); ++n)
      REQUIRE_FALSE(decode(std::span(bytes).first(n)).ok());
  }
}

TEST_CASE("a byte after the message is refused") {
  for (const Message& message : one_of_each())
    for (const int extra : {0x00, 0x90, 0xc0, 0xff}) {
      std::vector<std::byte> bytes = encode(message);
      bytes.push_back(static_cast<std::byte>(extra));
      CHECK_FALSE(decode(bytes).ok());
    }
}

TEST_CASE("damaged messages are refused or read as other valid messages") {
  std::size_t taken = 0;
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    INFO("seed " << seed);
    Random random(seed, Purpose::kSimulation);
    for (const Message& message : one_of_each()) {
      std::vector<std::byte> bytes = encode(message);
      for (std::uint64_t flips = 1 + random.below(3); flips > 0; --flips)
        bytes[random.below(bytes.size())] ^=
            static_cast<std::byte>(1U << random.below(8));
      const Result<Message> damaged = decode(bytes);
      if (!damaged.ok()) continue;
      ++taken;
      const Result<Message> again = decode(encode(*damaged));
      REQUIRE(again.ok());
      REQUIRE(*again == *damaged);
    }
  }
  CHECK(taken > 0);
}

TEST_CASE("random bytes are refused") {
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
    INFO("seed " << seed);
    Random random(seed, Purpose::kSimulation);
    std::vector<std::byte> bytes(random.below(300));
    for (std::byte& b : bytes) b = static_cast<std::byte>(random.below(256));
    REQUIRE_FALSE(decode(bytes).ok());
  }
}

TEST_CASE("msgpack bombs are refused") {
  using namespace std::string_literals;
  // By what they claim: before there is memory for it.
  for (const auto& [claim, bytes] : {
           std::pair("array size", "\xdd\xff\xff\xff\xff"s),
           std::pair("array size", "\xdc\xff\xff"s),
           std::pair("map size", "\xdf\xff\xff\xff\xff"s),
           std::pair("depth size", std::string(4000, '\x91') + "\x90"),
           std::pair("bin size",
                     "\xc6\x00\x00\x0f\x00"s + std::string(0xf00, 'b')),
       }) {
    INFO(claim);
    CHECK(contains(refusal(bytes_of(bytes)), "envelope"));
    CHECK(contains(refusal(bytes_of(bytes)), claim + " overflow"s));
  }
  // For these nothing is allocated before their bytes are there.
  for (const auto& bytes : {"\xc6\xff\xff\xff\xff"s, "\xdb\xff\xff\xff\xff"s,
                            "\xc9\xff\xff\xff\xff\x01"s})
    CHECK(contains(refusal(bytes_of(bytes)), "envelope"));
  CHECK(contains(refusal(bytes_of(std::string(200'000, '\x91'))), "bytes"));
}

TEST_CASE("another major version is a configuration error naming both") {
  msgpack::sbuffer buffer;
  Packer p(buffer);
  p.pack_array(3);  // a later major may have another envelope
  p.pack(kMajor + 1);
  p.pack(7);
  p.pack("whatever");
  const Result<Message> message = decode(bytes_of(buffer));
  REQUIRE_FALSE(message.ok());
  CHECK(message.error().code == ExitCode::kConfiguration);
  CHECK(contains(message.error().message, std::to_string(kMajor + 1) + ".7"));
  CHECK(contains(message.error().message,
                 std::to_string(kMajor) + "." + std::to_string(kMinor)));
}

TEST_CASE("fields that a newer minor version appended are ignored") {
  for (const std::uint32_t minor : {kMinor, kMinor + 1}) {
    msgpack::sbuffer buffer;
    Packer p(buffer);
    pack_header(p, 9, kMajor, minor);
    p.pack_array(2);
    p.pack(5);
    p.pack("a new field");
    const Result<Message> message = decode(bytes_of(buffer));
    CHECK(message.ok() == (minor > kMinor));
    if (message.ok())
      CHECK(std::get<Commit>(message->body).swap == SwapId{5});
    else
      CHECK(contains(message.error().message, "commit: expected an array of"));
  }
}

TEST_CASE("a missing field is refused even from a newer minor version") {
  msgpack::sbuffer buffer;
  Packer p(buffer);
  pack_header(p, 3, kMajor, kMinor + 1);
  p.pack_array(1);
  p.pack(0);
  CHECK(contains(refusal(bytes_of(buffer)), "round.discriminated"));
}

TEST_CASE("an unknown message type is an error that says so") {
  msgpack::sbuffer buffer;
  Packer p(buffer);
  pack_header(p, 99);
  p.pack_array(0);
  CHECK(contains(refusal(bytes_of(buffer)), "unknown message type 99"));
}

TEST_CASE("a peer beyond the limit is refused") {
  msgpack::sbuffer buffer;
  Packer p(buffer);
  pack_header(p, 11, kMajor, kMinor, kMaxPeers);
  p.pack_array(0);
  CHECK(contains(refusal(bytes_of(buffer)), "envelope.peer"));
}

// The round judges whether a loss is finite, as it does with a tensor's values.
TEST_CASE("losses may be any msgpack number") {
  CHECK(feedback_refusal(zero, no_tensors).empty());
  CHECK(feedback_refusal([](Packer& p) { p.pack(-3); }, no_tensors).empty());
  CHECK(feedback_refusal([](Packer& p) { p.pack(0.5F); }, no_tensors).empty());
  for (const double bad : {std::numeric_limits<double>::quiet_NaN(),
                           std::numeric_limits<double>::infinity()})
    CHECK(
        feedback_refusal([=](Packer& p) { p.pack(bad); }, no_tensors).empty());
  CHECK(contains(feedback_refusal([](Packer& p) { p.pack("1"); }, no_tensors),
                 "feedback.discriminator_loss: expected a number"));
}

TEST_CASE("tensors beyond the limits are refused") {
  CHECK(feedback_refusal(zero, one_tensor({2, 3})).empty());
  const std::uint64_t huge = std::uint64_t{1} << 63;
  for (const std::vector<std::uint64_t>& dims :
       std::vector<std::vector<std::uint64_t>>{
           {huge, 2},
           {std::uint64_t{1} << 32, std::uint64_t{1} << 32},
           {kMaxTensorBytes / 4 + 1},
           {0},
           {4, 0},
           std::vector<std::uint64_t>(kMaxRank + 1, 1)})
    CHECK(contains(feedback_refusal(zero, one_tensor(dims)),
                   "feedback.tensors.dims: expected"));
  for (const int dtype : {0, 3, 8})
    CHECK(contains(feedback_refusal(zero, one_tensor({2}, dtype)),
                   "feedback.tensors.dtype: expected"));
  CHECK(contains(feedback_refusal(zero,
                                  [](Packer& p) {
                                    p.pack_array(kMaxTensors + 1);
                                    for (std::size_t i = 0; i <= kMaxTensors;
                                         ++i) {
                                      p.pack_array(2);
                                      p.pack(1);
                                      p.pack_array(0);
                                    }
                                  }),
                 "feedback.tensors: expected at most"));
}

TEST_CASE("fields outside their range are refused by name") {
  // Encodes what no sender of ours would: `change` breaks one field.
  const auto broken = [](std::size_t which, auto change) {
    Message message = one_of_each()[which];
    change(message.body);
    return refusal(encode(message));
  };
  const auto hello = [&](auto change) {
    return broken(0, [&](Body& body) { change(std::get<Hello>(body)); });
  };
  const auto spec = [&](auto change) {
    return broken(1, [&](Body& body) { change(std::get<Welcome>(body).spec); });
  };
  CHECK(contains(hello([](Hello& m) { m.index = -2; }), "hello.index"));
  CHECK(contains(hello([](Hello& m) { m.index = kMaxPeers; }), "hello.index"));
  CHECK(contains(hello([](Hello& m) { m.name = ""; }), "hello.name"));
  CHECK(contains(hello([](Hello& m) { m.name = "a\x1b[2J"; }), "hello.name"));
  CHECK(contains(hello([](Hello& m) { m.name = "\xc3"; }), "hello.name"));
  CHECK(contains(hello([](Hello& m) { m.name = "a\xe2\x80\xae"; }),
                 "hello.name"));
  CHECK(
      contains(hello([](Hello& m) { m.name = "\xed\xa0\x80"; }), "hello.name"));
  CHECK(contains(hello([](Hello& m) { m.name = "\xc0\xaf"; }), "hello.name"));
  CHECK(contains(hello([](Hello& m) { m.image.height = 0; }),
                 "hello.image.height"));
  CHECK(contains(hello([](Hello& m) { m.image.channels = kMaxChannels + 1; }),
                 "hello.image.channels"));
  CHECK(contains(hello([](Hello& m) { m.saved.resize(kMaxOffers + 1); }),
                 "hello.saved"));
  CHECK(contains(
      hello([](Hello& m) { m.abilities.resize(kMaxAbilities + 1, "x"); }),
      "hello.abilities"));
  CHECK(
      contains(hello([](Hello& m) { m.abilities = {""}; }), "hello.abilities"));
  CHECK(contains(spec([](auto& s) { s.batch = 0; }), "welcome.spec.batch"));
  CHECK(contains(spec([](auto& s) { s.batch = kMaxBatch + 1; }),
                 "welcome.spec.batch"));
  CHECK(contains(spec([](auto& s) { s.local_steps = 0; }),
                 "welcome.spec.local_steps"));
  CHECK(contains(spec([](auto& s) { s.local_steps = kMaxLocalSteps + 1; }),
                 "welcome.spec.local_steps"));
  CHECK(contains(spec([](auto& s) { s.r1_gamma = -1; }),
                 "welcome.spec.r1_gamma"));
  CHECK(contains(spec([](auto& s) { s.adam.beta2 = 1; }),
                 "welcome.spec.adam.beta2"));
  CHECK(contains(spec([](auto& s) { s.loss = static_cast<Loss>(9); }),
                 "welcome.spec.loss: expected one of non-saturating"));
  CHECK(contains(broken(1,
                        [](Body& body) {
                          std::get<Welcome>(body).start = static_cast<Start>(5);
                        }),
                 "welcome.start"));
  CHECK(contains(broken(12,
                        [](Body& body) {
                          std::get<Goodbye>(body).reason =
                              static_cast<Reason>(0);
                        }),
                 "goodbye.reason"));
  CHECK(contains(broken(13,
                        [](Body& body) {
                          std::get<ErrorReply>(body).code =
                              static_cast<ErrorCode>(200);
                        }),
                 "error.code"));
}

TEST_CASE("a text for people is sent whatever it contains") {
  const auto sent = [](const std::string& text) {
    Message message;
    message.body = Goodbye{Reason::kFailed, text};
    const Result<Message> back = decode(encode(message));
    REQUIRE(back.ok());
    return std::get<Goodbye>(back->body).text;
  };
  CHECK(sent("plain, also é") == "plain, also é");
  CHECK(sent("two\nlines\xff") == "two?lines?");
  CHECK(sent(std::string(5000, 'x')) == std::string(kMaxString, 'x'));
  CHECK(sent(std::string(kMaxString - 1, 'x') + "é") ==
        std::string(kMaxString - 1, 'x'));
}

}  // namespace mdgan::test
