// What a Receiver makes of frames as they come.
#include "common/net/receiver.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "protocol/limits.h"
#include "tests/support/catch.h"
#include "tests/support/child_process.h"
#include "tests/support/link.h"

namespace mdgan::test {

using protocol::kFrameBytes;

TEST_CASE("fault 24: a ZeroMQ message of many parts is one error",
          "[integration]") {
  Hub hub;
  auto bad = hub.stranger();
  const std::vector<Blob> tensors{counting_floats(2)};
  send_parts(bad, {protocol::encode(announcing(tensors)), Frame(8)});
  send_parts(bad, std::vector<Frame>(10'000, Frame(1)));
  send_frames(bad, {protocol::encode(greeting(2))});
  for (int i = 0; i < 2; ++i) {
    const Received received = next_message(hub.router);
    REQUIRE_FALSE(received.message.ok());
    CHECK(received.message.error().message.find("parts") != std::string::npos);
    CHECK(received.tensors.empty());
  }
  CHECK(next_number(hub.router) == 2);
}

TEST_CASE("fault 24: a message of too many frames is an error",
          "[integration]") {
  Hub hub;
  auto bad = hub.stranger();
  protocol::Transfer transfer;
  transfer.tensors.resize(3, {protocol::DType::kUint8, {2'147'483'648}});
  protocol::Message message = greeting();
  message.body = transfer;
  send_frames(bad, {protocol::encode(message)});
  send_frames(bad, {protocol::encode(greeting(2))});
  const Received received = next_message(hub.router);
  REQUIRE_FALSE(received.message.ok());
  CHECK(received.message.error().message.find("6145 frames") !=
        std::string::npos);
  CHECK(next_number(hub.router) == 2);
}

TEST_CASE("What nobody wants is thrown away as it comes", "[integration]") {
  Hub hub;
  std::size_t asked = 0;
  hub.router.receiver = Receiver([&](const Received& received) {
    ++asked;
    return received.message->round.value != 1;
  });
  auto peer = hub.join();
  const std::vector<Blob> tensors{counting_floats(kFrameBytes),
                                  counting_floats(2)};
  protocol::Message message = announcing(tensors);
  TensorFrames frames(tensors);
  for (const unsigned round : {1U, 2U}) {
    message.round = Round{round};
    REQUIRE(send(peer.socket, "", message, &frames) == Sent::kYes);
    const Received received = next_message(hub.router);
    CHECK(received.message.ok());
    CHECK(received.bytes > frames.bytes());
    CHECK(received.tensors.size() == (round == 1 ? 0 : 2));
    CHECK(asked == round);
    CHECK(hub.router.receiver.unfinished_bytes() == 0);
  }
}

TEST_CASE("what many senders announce at once is taken up to a bound",
          "[integration]") {
  Hub hub;
  std::size_t wanted = 0;
  hub.router.receiver = Receiver([&](const Received&) {
    ++wanted;
    return true;
  });
  // Nothing of the 2 GiB each has come yet.
  protocol::Transfer transfer;
  transfer.tensors = {{protocol::DType::kUint8, {protocol::kMaxTensorBytes}}};
  protocol::Message message = greeting();
  message.body = transfer;
  std::vector<Hub::Peer> senders;
  int taken = 0;
  for (int i = 0; i < 4; ++i) senders.push_back(hub.join());
  for (Hub::Peer& sender : senders)
    send_frames(sender.socket, {protocol::encode(message)});
  CHECK(eventually([&] {
    std::optional<Received> none;
    if (hub.router.receiver.take(hub.router, none)) ++taken;
    return taken == 4;
  }));
  CHECK(wanted == 2);
  CHECK(hub.router.receiver.unfinished_bytes() ==
        protocol::kMaxUnfinishedBytes);
}

TEST_CASE("fault 2: what has come of a message goes with its connection",
          "[integration]") {
  Hub hub;
  auto peer = hub.join();
  const std::vector<Blob> tensors{counting_floats(kFrameBytes)};
  send_frames(peer.socket, {protocol::encode(announcing(tensors)),
                            Frame(kFrameBytes), Frame(kFrameBytes)});
  CHECK(eventually([&] {
    CHECK_FALSE(receive(hub.router));
    return hub.router.receiver.unfinished_bytes() > 0;
  }));
  hub.router.receiver.forget(peer.routing_id);
  CHECK(hub.router.receiver.unfinished_bytes() == 0);
}

TEST_CASE("Messages of several senders are put together side by side",
          "[integration]") {
  Hub hub;
  auto first = hub.join();
  auto second = hub.join();
  const std::vector<Blob> tensors{counting_floats(2)};
  const Frame envelope = protocol::encode(announcing(tensors));
  const Frame tail(8);
  send_frames(first.socket, {envelope});
  CHECK(eventually([&] {
    CHECK_FALSE(receive(hub.router));
    return hub.router.receiver.unfinished_bytes() > 0;
  }));
  send_frames(second.socket, {envelope, tail});
  CHECK(next_message(hub.router).routing_id == second.routing_id);
  send_frames(first.socket, {tail});
  const Received received = next_message(hub.router);
  CHECK(received.routing_id == first.routing_id);
  CHECK(received.tensors.size() == 1);
}

TEST_CASE("What is not a message is an error, and the next one is read",
          "[integration]") {
  const std::vector<Blob> tensors{counting_floats(3 * kFrameBytes / 8),
                                  counting_floats(2)};
  const Frame envelope = protocol::encode(announcing(tensors));
  const Frame mega(kFrameBytes);
  const Frame half(kFrameBytes / 2);
  const Frame tail(8);
  Frame longer = envelope;
  longer.push_back(std::byte{0xc0});
  Frame shorter = envelope;
  shorter.pop_back();

  struct Case {
    std::string name;
    std::vector<Frame> frames;
    int errors;
    int messages;  // that are read nevertheless
  };
  const Frame other = protocol::encode(greeting());
  const std::vector<Case> cases{
      {"nothing", {{}}, 1, 0},
      {"no msgpack", {Frame(100, std::byte{0xc1})}, 1, 0},
      {"an envelope too long", {Frame(protocol::kMaxEnvelopeBytes + 1)}, 1, 0},
      {"a trailing byte", {longer, mega, half, tail}, 4, 0},
      {"an envelope cut short", {shorter, mega, half, tail}, 4, 0},
      {"no tensors", {envelope}, 0, 0},
      {"a tensor less", {envelope, mega, half}, 0, 0},
      {"a frame less", {envelope, mega, tail}, 1, 0},
      {"a frame more", {envelope, mega, half, tail, tail}, 1, 1},
      {"an empty frame more", {envelope, mega, half, tail, {}}, 1, 1},
      {"other frame sizes", {envelope, half, mega, tail}, 3, 0},
      {"smaller frames", {envelope, half, half, half, tail}, 4, 0},
      {"a tensor cut short", {envelope, mega, half, Frame(7)}, 1, 0},
      {"tensors exchanged", {envelope, tail, mega, half}, 3, 0},
      {"tensors not announced", {other, tail}, 1, 1},
      {"begun twice", {envelope, mega, envelope, mega, half, tail}, 0, 1},
  };
  Hub hub;
  auto bad = hub.stranger();
  std::uint64_t number = 10;
  for (const Case& c : cases) {
    INFO(c.name);
    send_frames(bad, c.frames);
    send_frames(bad, {protocol::encode(greeting(++number))});
    int errors = 0;
    int messages = 0;
    while (true) {
      const Received received = next_message(hub.router);
      if (received.message && received.message->round.value == number) break;
      ++(received.message ? messages : errors);
      if (!received.message) CHECK(received.tensors.empty());
    }
    CHECK(errors == c.errors);
    CHECK(messages == c.messages);
    CHECK(hub.router.receiver.unfinished_bytes() == 0);
  }
  // The same frames in order are what they claim to be.
  send_frames(bad, {envelope, mega, half, tail});
  CHECK(next_message(hub.router).tensors.size() == 2);
}

}  // namespace mdgan::test
