// A peer made by hand, for messages that no peer of ours would send.
#pragma once

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/net/channel.h"
#include "tests/support/catch.h"
#include "tests/support/link.h"

namespace mdgan::test {

inline Blob constant_floats(std::vector<std::uint64_t> dims, float value) {
  std::size_t count = 1;
  for (const auto dim : dims) count *= dim;
  const std::vector<float> values(count, value);
  return copy_blob({protocol::DType::kFloat32, std::move(dims)},
                   std::as_bytes(std::span(values)));
}

// A peer that says whatever it is told to.
class RawPeer {
 public:
  RawPeer(zmq::context_t& context, const std::string& server)
      : socket_(make_link(context, server)) {}

  void hello(const std::string& name, ImageShape image,
             std::vector<std::string> codecs = {}) {
    protocol::Hello hello;
    hello.name = name;
    hello.index = 2;
    hello.shard_size = 20'000;
    hello.image = image;
    hello.endpoint = "tcp://127.0.0.1:1";
    hello.nonce = 77;
    hello.abilities = std::move(codecs);
    protocol::Message message;
    message.body = hello;
    say(message);
  }
  void say(const protocol::Message& message) {
    REQUIRE(send(socket_, "", message) == Sent::kYes);
  }
  void say_feedback(protocol::Message message, std::uint32_t generated,
                    const std::vector<Blob>& tensors, double loss = 0,
                    double seconds = 0) {
    protocol::Feedback feedback;
    feedback.generated = generated;
    feedback.generator_loss = loss;
    feedback.seconds = seconds;
    for (const Blob& tensor : tensors) feedback.tensors.push_back(tensor.meta);
    message.body = feedback;
    TensorFrames frames(tensors);
    REQUIRE(send(socket_, "", message, &frames) == Sent::kYes);
  }
  protocol::Message next() {
    Received received = next_message(socket_);
    REQUIRE(received.message.ok());
    return *received.message;
  }
  // The next ZeroMQ message's size, whatever it is.
  std::size_t next_size() {
    zmq::message_t frame;
    socket_.set(zmq::sockopt::rcvtimeo, 30'000);
    REQUIRE(socket_.recv(frame, zmq::recv_flags::none));
    CHECK_FALSE(frame.more());
    return frame.size();
  }
  // The next error's code and text; other messages are skipped.
  protocol::ErrorReply next_error() {
    while (true) {
      const protocol::Message message = next();
      if (const auto* error = std::get_if<protocol::ErrorReply>(&message.body))
        return *error;
    }
  }

 private:
  Socket socket_;
};

}  // namespace mdgan::test
