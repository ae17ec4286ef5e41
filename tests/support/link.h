// Sockets of this process that talk to each other, and what travels on them.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>
#include <zmq.hpp>

#include "common/net/channel.h"
#include "protocol/codec.h"
#include "tests/support/catch.h"

namespace mdgan::test {

inline constexpr const char* kAnyPort = "tcp://127.0.0.1:*";

// The next message; fails the test when none comes.
inline Received next_message(zmq::socket_t& socket) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (std::chrono::steady_clock::now() < end) {
    if (auto received = receive(socket)) return std::move(*received);
    zmq::pollitem_t items[] = {{socket.handle(), 0, ZMQ_POLLIN, 0}};
    wait_readable(items, std::chrono::milliseconds(500));
  }
  FAIL("no message came");
  throw 0;  // FAIL has thrown already
}

inline zmq::socket_t make_router(zmq::context_t& context,
                                 std::string& endpoint) {
  auto made = bind_router(context, endpoint);
  REQUIRE(made.ok());
  return std::move(*made);
}

inline zmq::socket_t make_dealer(zmq::context_t& context,
                                 const std::string& endpoint) {
  auto made = connect_transfer_link(context, endpoint, 16);
  REQUIRE(made.ok());
  return std::move(*made);
}

inline protocol::Message greeting(std::uint64_t number = 1) {
  protocol::Message message;
  message.round = Round{number};
  message.body = protocol::Checkpoint{};
  return message;
}

// A ROUTER and any number of DEALERs that it knows.
class Hub {
 public:
  explicit Hub(std::string endpoint = kAnyPort)
      : endpoint_(std::move(endpoint)),
        router(make_router(context, endpoint_)) {}

  struct Peer {
    zmq::socket_t socket;
    std::string routing_id;  // as the router knows it
  };
  // A DEALER whose first message has arrived.
  Peer join() {
    Peer peer{make_dealer(context, endpoint_), ""};
    REQUIRE(send(peer.socket, "", greeting()) == Sent::kYes);
    const Received received = next_message(router);
    REQUIRE(received.message.ok());
    peer.routing_id = received.routing_id;
    return peer;
  }
  // A DEALER without our options, for what our own sender would never send.
  zmq::socket_t stranger() {
    zmq::socket_t socket(context, zmq::socket_type::dealer);
    socket.set(zmq::sockopt::linger, 0);
    socket.connect(endpoint_);
    return socket;
  }
  const std::string& endpoint() const { return endpoint_; }

  zmq::context_t context;

 private:
  std::string endpoint_;

 public:
  zmq::socket_t router;
};

// A tensor [count] float32 whose values count up from `first`.
inline Blob counting_floats(std::size_t count, float first = 0) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i)
    values[i] = first + static_cast<float>(i % 1'000'003);
  return copy_blob({protocol::DType::kFloat32, {count}},
                   std::as_bytes(std::span(values)));
}

// A message that announces these tensors.
inline protocol::Message announcing(std::span<const Blob> tensors) {
  protocol::Batch batch;
  for (const Blob& tensor : tensors) batch.tensors.push_back(tensor.meta);
  protocol::Message message = greeting();
  message.body = std::move(batch);
  return message;
}

using Frame = std::vector<std::byte>;

// Frames as they are, checked by nobody.
inline void send_frames(zmq::socket_t& socket,
                        const std::vector<Frame>& frames) {
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const bool last = i + 1 == frames.size();
    socket.send(zmq::buffer(frames[i].data(), frames[i].size()),
                last ? zmq::send_flags::none : zmq::send_flags::sndmore);
  }
}

}  // namespace mdgan::test
