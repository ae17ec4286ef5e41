// Protocol messages over ZeroMQ sockets: options, frames, tensors without
// copies.
//
// Threads: a socket belongs to the one thread that made it; what is received
// may go to any thread (a Blob keeps its frame alive).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>
#include <zmq.hpp>

#include "common/base/result.h"
#include "common/tensor/blob.h"
#include "protocol/limits.h"
#include "protocol/messages.h"

namespace mdgan {

// A ROUTER that peers connect to: the server's, or a peer's for transfers.
// Binds to `endpoint` (port '*': any free one) and returns the endpoint it got
// in `endpoint`. Fails with kUnreachable when the port is taken or the address
// is not this machine's.
Result<zmq::socket_t> bind_router(zmq::context_t& context,
                                  std::string& endpoint);

// A DEALER to the server at `endpoint`, which refuses messages until there is a
// connection. Connecting goes on in the background and never fails here; only a
// malformed endpoint does (kUsage).
Result<zmq::socket_t> connect_dealer(zmq::context_t& context,
                                     const std::string& endpoint);

// A DEALER to another peer's listener at `endpoint`, on which up to `transfers`
// discriminators wait for the connection. Fails like connect_dealer().
Result<zmq::socket_t> connect_transfer_link(zmq::context_t& context,
                                            const std::string& endpoint,
                                            std::size_t transfers);

// Whether what such a DEALER receives may come in frames of kLongFrameBytes:
// `endpoint` is on this machine, where no frame takes longer than a heartbeat
// may (through a tunnel to another one, 1.2 Mbit/s are enough). There
// they are worth having: a tensor of one frame need not be joined.
bool takes_long_frames(const std::string& endpoint);

// Tensors as frames of `frame_bytes`, kFrameBytes or kLongFrameBytes, that are
// sent without copying the bytes: any number of receivers share them by
// reference count.
class TensorFrames {
 public:
  explicit TensorFrames(std::span<const Blob> tensors,
                        std::size_t frame_bytes = protocol::kFrameBytes);
  std::vector<zmq::message_t> share();
  std::uint64_t bytes() const { return bytes_; }

 private:
  std::vector<zmq::message_t> frames_;
  std::uint64_t bytes_ = 0;
};

enum class Sent {
  kYes,
  kGone,  // no such connection (ROUTER), or none at present (DEALER)
  kFull,  // the connection takes no more: it is slow or stuck
};

// Sends without ever blocking. `routing_id` is empty for a DEALER. The body's
// tensor list must describe `frames`. Adds what was sent to `bytes`, if given.
Sent send(zmq::socket_t& socket, const std::string& routing_id,
          const protocol::Message& message, TensorFrames* frames = nullptr,
          std::uint64_t* bytes = nullptr);

struct Received {
  std::string routing_id;  // of a ROUTER's connection; else empty
  std::string address;  // the sender's IP address where the transport has one
  std::uint64_t bytes = 0;
  // Or why it could not be read: from a malformed envelope to tensor frames
  // that are not what the envelope announces.
  Result<protocol::Message> message = Error{};
  std::vector<Blob> tensors;
};

// Waits until an item is readable or the time is over; a signal ends the wait
// early, as if the time were over.
void wait_readable(std::span<zmq::pollitem_t> items,
                   std::chrono::milliseconds timeout);

// The next message, if one is there; never blocks, never throws on content.
std::optional<Received> receive(zmq::socket_t& socket);

}  // namespace mdgan
