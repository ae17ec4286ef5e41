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
#include "common/net/receiver.h"
#include "protocol/codec.h"
#include "tests/support/catch.h"

namespace mdgan::test {

inline constexpr const char* kAnyPort = "tcp://127.0.0.1:*";

// A socket and what has arrived on it of messages that are not complete.
struct Socket : zmq::socket_t {
  Receiver receiver;

  Socket(zmq::socket_t socket)  // NOLINT: implicit by design
      : zmq::socket_t(std::move(socket)) {}
};

// The next message, if it is there by now; frames of others may be taken.
inline std::optional<Received> receive(Socket& socket) {
  std::optional<Received> received;
  while (!received && socket.receiver.take(socket, received)) {
  }
  return received;
}

// The next message; fails the test when none comes.
inline Received next_message(Socket& socket) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (std::chrono::steady_clock::now() < end) {
    if (auto received = receive(socket)) return std::move(*received);
    zmq::pollitem_t items[] = {{socket.handle(), 0, ZMQ_POLLIN, 0}};
    wait_readable(items, std::chrono::milliseconds(500));
  }
  FAIL("no message came");
  throw 0;  // FAIL has thrown already
}

inline Socket make_bound_router(zmq::context_t& context,
                                std::string& endpoint) {
  zmq::socket_t router = make_router(context);
  REQUIRE(bind_router(router, endpoint).ok());
  return router;
}

inline Socket make_link(zmq::context_t& context, const std::string& endpoint) {
  zmq::socket_t socket = make_dealer(context, takes_long_frames(endpoint));
  REQUIRE(connect(socket, endpoint).ok());
  return socket;
}

// Finds out that the other side ends a connection.
class ConnectionEnd {
 public:
  ConnectionEnd(zmq::context_t& context, zmq::socket_t& socket)
      : socket_(socket), events_(context, zmq::socket_type::pair) {
    static int number = 0;
    const std::string name =
        "inproc://end-of-connection-" + std::to_string(++number);
    REQUIRE(zmq_socket_monitor(socket.handle(), name.c_str(),
                               ZMQ_EVENT_DISCONNECTED) == 0);
    events_.connect(name);
  }
  ~ConnectionEnd() { (void)zmq_socket_monitor(socket_.handle(), nullptr, 0); }
  ConnectionEnd(const ConnectionEnd&) = delete;
  ConnectionEnd& operator=(const ConnectionEnd&) = delete;

  bool comes() const {
    zmq::pollitem_t items[] = {{events_.handle(), 0, ZMQ_POLLIN, 0}};
    return zmq::poll(items, 1, std::chrono::seconds(60)) == 1;
  }

 private:
  zmq::socket_t& socket_;
  mutable zmq::socket_t events_;
};

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
        router(make_bound_router(context, endpoint_)) {}

  struct Peer {
    Socket socket;
    std::string routing_id;  // as the router knows it
  };
  // A DEALER whose first message has arrived.
  Peer join() {
    Peer peer{make_link(context, endpoint_), ""};
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
  Socket router;
};

// The next message's number: that of greeting().
inline std::uint64_t next_number(Socket& socket) {
  const Received received = next_message(socket);
  REQUIRE(received.message.ok());
  return received.message->round.value;
}

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

// Frames as they are, checked by nobody, each as a ZeroMQ message.
inline void send_frames(zmq::socket_t& socket,
                        const std::vector<Frame>& frames) {
  for (const Frame& frame : frames)
    socket.send(zmq::buffer(frame.data(), frame.size()), zmq::send_flags::none);
}

// The same as one ZeroMQ message of many parts, which nobody may send.
inline void send_parts(zmq::socket_t& socket,
                       const std::vector<Frame>& frames) {
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const bool last = i + 1 == frames.size();
    socket.send(zmq::buffer(frames[i].data(), frames[i].size()),
                last ? zmq::send_flags::none : zmq::send_flags::sndmore);
  }
}

}  // namespace mdgan::test
