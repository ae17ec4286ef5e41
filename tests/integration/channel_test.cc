// What ZeroMQ does with our messages, trap by trap. Every socket is real.
#include "common/net/channel.h"

#include <cstdint>
#include <memory>
#include <vector>

#include "protocol/limits.h"
#include "tests/support/catch.h"
#include "tests/support/child_process.h"
#include "tests/support/link.h"

namespace mdgan::test {

using protocol::kFrameBytes;
using protocol::kLongFrameBytes;

namespace {

bool same_bytes(const Blob& a, const Blob& b) {
  return a.meta == b.meta && std::ranges::equal(a.bytes, b.bytes);
}

}  // namespace

TEST_CASE("Tensors are cut into frames of 1 MiB and joined again",
          "[integration]") {
  Hub hub;
  auto peer = hub.join();
  const std::vector<Blob> tensors{counting_floats(5 * kFrameBytes / 8),
                                  counting_floats(3),
                                  counting_floats(kFrameBytes / 4)};
  TensorFrames frames(tensors);
  CHECK(frames.bytes() == 5 * kFrameBytes / 2 + 12 + kFrameBytes);

  std::uint64_t sent = 0;
  REQUIRE(send(hub.router, peer.routing_id, announcing(tensors), &frames,
               &sent) == Sent::kYes);
  const Received received = next_message(peer.socket);
  REQUIRE(received.message.ok());
  CHECK(*received.message == announcing(tensors));
  CHECK(received.bytes == sent);
  REQUIRE(received.tensors.size() == tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i)
    CHECK(same_bytes(received.tensors[i], tensors[i]));

  // The same once more, frame by frame: each is a ZeroMQ message.
  REQUIRE(send(hub.router, peer.routing_id, announcing(tensors), &frames) ==
          Sent::kYes);
  std::vector<std::size_t> sizes;
  zmq::message_t frame;
  while (sizes.size() < 6) {
    REQUIRE(peer.socket.recv(frame, zmq::recv_flags::none));
    CHECK_FALSE(frame.more());
    sizes.push_back(frame.size());
  }
  sizes.erase(sizes.begin());
  CHECK(sizes == std::vector<std::size_t>{kFrameBytes, kFrameBytes,
                                          kFrameBytes / 2, 12, kFrameBytes});
}

TEST_CASE("On one machine long frames pass, mixed with short ones",
          "[integration]") {
  CHECK(takes_long_frames("tcp://127.0.0.1:5555"));
  CHECK(takes_long_frames("tcp://localhost:5555"));
  CHECK(takes_long_frames("inproc://hub"));
  CHECK_FALSE(takes_long_frames("tcp://10.0.0.5:5555"));
  CHECK_FALSE(takes_long_frames("tcp://server:5555"));

  Hub hub;
  auto peer = hub.join();
  const std::vector<Blob> tensors{counting_floats(5 * kLongFrameBytes / 16),
                                  counting_floats(3)};
  for (const std::size_t frame_bytes : {kLongFrameBytes, kFrameBytes}) {
    TensorFrames frames(tensors, frame_bytes);
    CHECK(frames.share().size() == (frame_bytes == kFrameBytes ? 6 : 3));
    REQUIRE(send(hub.router, peer.routing_id, announcing(tensors), &frames) ==
            Sent::kYes);
    const Received received = next_message(peer.socket);
    REQUIRE(received.message.ok());
    REQUIRE(received.tensors.size() == tensors.size());
    for (std::size_t i = 0; i < tensors.size(); ++i)
      CHECK(same_bytes(received.tensors[i], tensors[i]));
  }
}

TEST_CASE("The sender's address is known, IPv4 as IPv4", "[integration]") {
  Hub hub;
  auto peer = hub.join();
  REQUIRE(send(peer.socket, "", greeting()) == Sent::kYes);
  CHECK(next_message(hub.router).address == "127.0.0.1");
}

TEST_CASE("Receivers share a tensor that goes when the last has it",
          "[integration]") {
  Hub hub;
  std::vector<Hub::Peer> peers;
  for (int i = 0; i < 3; ++i) peers.push_back(hub.join());

  const Blob source = counting_floats(kFrameBytes);
  auto owner = std::make_shared<std::vector<std::byte>>(source.bytes.begin(),
                                                        source.bytes.end());
  std::vector<Blob> tensors{{source.meta, std::span(*owner), owner}};
  const protocol::Message message = announcing(tensors);
  {
    TensorFrames frames(tensors);
    tensors.clear();
    CHECK(owner.use_count() == 1 + 4);  // one for each frame
    for (auto& peer : peers)
      REQUIRE(send(hub.router, peer.routing_id, message, &frames) ==
              Sent::kYes);
    CHECK(owner.use_count() <= 1 + 4);  // none for each receiver
  }
  for (auto& peer : peers) {
    const Received received = next_message(peer.socket);
    REQUIRE(received.tensors.size() == 1);
    CHECK(same_bytes(received.tensors[0], source));
  }
  CHECK(eventually([&] { return owner.use_count() == 1; }));
}

TEST_CASE("A tensor is passed on within a process, not copied",
          "[integration]") {
  Hub hub("inproc://hub");
  auto peer = hub.join();
  std::vector<Blob> tensors{counting_floats(1000)};
  const std::byte* const data = tensors[0].bytes.data();
  TensorFrames frames(tensors);
  REQUIRE(send(hub.router, peer.routing_id, announcing(tensors), &frames) ==
          Sent::kYes);
  const Received received = next_message(peer.socket);
  REQUIRE(received.tensors.size() == 1);
  CHECK(received.tensors[0].bytes.data() == data);
  CHECK(received.address.empty());
}

TEST_CASE("A received tensor outlives its message and its socket",
          "[integration]") {
  Blob kept;
  {
    Hub hub;
    auto peer = hub.join();
    const std::vector<Blob> tensors{counting_floats(1000)};
    TensorFrames frames(tensors);
    REQUIRE(send(hub.router, peer.routing_id, announcing(tensors), &frames) ==
            Sent::kYes);
    kept = next_message(peer.socket).tensors.at(0);
  }
  CHECK(same_bytes(kept, counting_floats(1000)));
}

TEST_CASE("Small tensors are aligned however they were sent", "[integration]") {
  Hub hub;
  auto peer = hub.join();
  for (std::size_t count = 1; count < 40; count += 4) {
    const std::vector<Blob> tensors{counting_floats(count),
                                    counting_floats(count + 1),
                                    counting_floats(count + 2)};
    TensorFrames frames(tensors);
    REQUIRE(send(peer.socket, "", announcing(tensors), &frames) == Sent::kYes);
    const Received received = next_message(hub.router);
    REQUIRE(received.tensors.size() == 3);
    for (std::size_t i = 0; i < 3; ++i) {
      const Blob& tensor = received.tensors[i];
      const auto address =
          reinterpret_cast<std::uintptr_t>(tensor.bytes.data());
      CHECK(address % alignof(std::int64_t) == 0);
      CHECK(same_bytes(tensor, tensors[i]));
    }
  }
}

TEST_CASE("Sending to a vanished peer says so and does not wait",
          "[integration]") {
  Hub hub;
  CHECK(send(hub.router, "nobody", greeting()) == Sent::kGone);

  auto peer = hub.join();
  REQUIRE(send(hub.router, peer.routing_id, greeting()) == Sent::kYes);
  peer.socket.close();
  CHECK(eventually([&] {
    (void)receive(hub.router);  // a ROUTER learns of it when received from
    return send(hub.router, peer.routing_id, greeting()) == Sent::kGone;
  }));
}

TEST_CASE("A peer that reads nothing fills up without stopping the others",
          "[integration]") {
  Hub hub("inproc://hub");
  auto slow = hub.join();
  auto healthy = hub.join();
  Sent sent = Sent::kYes;
  for (int i = 0; i < 2'000'000 && sent == Sent::kYes; ++i)
    sent = send(hub.router, slow.routing_id, greeting());
  CHECK(sent == Sent::kFull);
  REQUIRE(send(hub.router, healthy.routing_id, greeting(7)) == Sent::kYes);
  CHECK(next_number(healthy.socket) == 7);
}

TEST_CASE("A link's messages wait for its connection", "[integration]") {
  std::string endpoint = kAnyPort;
  {
    // Closing goes on in the background; the end of the context waits for it.
    zmq::context_t gone;
    make_bound_router(gone, endpoint).close();
  }
  zmq::context_t context;
  auto link = make_link(context, endpoint);
  CHECK(send(link, "", greeting()) == Sent::kYes);
  // What was never sent does not hold up the end of the process.
  CHECK(link.get(zmq::sockopt::linger) == 0);
}

TEST_CASE(
    "A frame over the limit costs its sender the connection, and nobody "
    "else",
    "[integration]") {
  Hub hub;
  auto other = hub.join();
  auto bad = hub.stranger();
  send_frames(bad, {protocol::encode(greeting(1))});
  const std::string bad_id = next_message(hub.router).routing_id;

  send_frames(bad, {Frame(kFrameBytes + 8192)});
  CHECK(eventually([&] {
    CHECK_FALSE(receive(hub.router));
    return send(hub.router, bad_id, greeting()) == Sent::kGone;
  }));
  REQUIRE(send(other.socket, "", greeting(2)) == Sent::kYes);
  CHECK(next_number(hub.router) == 2);
  REQUIRE(send(hub.router, other.routing_id, greeting(3)) == Sent::kYes);
  CHECK(next_number(other.socket) == 3);
}

TEST_CASE("A port that is taken is named in the error", "[integration]") {
  zmq::context_t context;
  std::string endpoint = kAnyPort;
  const auto first = make_bound_router(context, endpoint);
  CHECK(endpoint.starts_with("tcp://127.0.0.1:"));
  CHECK(endpoint.find('*') == std::string::npos);

  std::string again = endpoint;
  zmq::socket_t router = make_router(context);
  const auto second = bind_router(router, again);
  REQUIRE_FALSE(second.ok());
  INFO(second.error().message);
  CHECK(second.error().code == ExitCode::kUnreachable);
  CHECK(second.error().message.find(endpoint) != std::string::npos);
  CHECK(second.error().message.find("another port") != std::string::npos);
}

TEST_CASE("An address that is not this machine's is named in the error",
          "[integration]") {
  zmq::context_t context;
  std::string endpoint = "tcp://192.0.2.1:*";  // RFC 5737: nobody's
  zmq::socket_t router = make_router(context);
  const auto made = bind_router(router, endpoint);
  REQUIRE_FALSE(made.ok());
  INFO(made.error().message);
  CHECK(made.error().code == ExitCode::kUnreachable);
  CHECK(made.error().message.find("192.0.2.1") != std::string::npos);
}

TEST_CASE("What is no endpoint cannot be connected to", "[integration]") {
  zmq::context_t context;
  for (const std::string endpoint :
       {"", "localhost:5555", "tcp://", "tcp://host", "carrier://pigeon:1"}) {
    const auto made = connect_transfer_link(context, endpoint, 16);
    INFO(endpoint);
    REQUIRE_FALSE(made.ok());
    CHECK(made.error().code == ExitCode::kUsage);
  }
}

}  // namespace mdgan::test
