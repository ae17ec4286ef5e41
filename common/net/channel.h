// ZeroMQ sockets and what is sent on them: options, frames, tensors without
// copies. receiver.h takes messages off them.
//
// Threads: a socket belongs to the one thread that made it; what is received
// may go to any thread (a Blob keeps its frame alive).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>
#include <zmq.hpp>

#include "common/base/result.h"
#include "common/net/curve.h"
#include "common/tensor/blob.h"
#include "protocol/limits.h"
#include "protocol/messages.h"

namespace mdgan {

// Messages that wait at a ROUTER to be taken off it, for each connection; what
// comes after them waits in the kernel and at the sender.
inline constexpr int kReceiveQueue = 16;

// A ROUTER that peers connect to: the server's, or a peer's for transfers. It
// is not bound yet.
zmq::socket_t make_router(zmq::context_t& context);

// Binds a ROUTER to `endpoint` (port '*': any free one; host: an address, '*',
// or what resolve_to_bind() takes) and returns the endpoint it got in
// `endpoint`. Fails with kUnreachable when the port is taken or the host is not
// this machine's.
Result<void> bind_router(zmq::socket_t& router, std::string& endpoint);

// A DEALER to the server, which takes frames of kLongFrameBytes if
// `long_frames`. It is not connected yet, and when it loses its connection, or
// gets none, it stays so: make another one. ServerLink does.
zmq::socket_t make_dealer(zmq::context_t& context, bool long_frames);

// Begins to connect; fails for what is no endpoint only (kUsage).
Result<void> connect(zmq::socket_t& dealer, const std::string& endpoint);

// A DEALER to another peer's listener at `endpoint`, on which up to `messages`
// frames wait for the connection, again and again. With `keys`, what is sent
// goes to the holder of that key alone. Fails like connect().
Result<zmq::socket_t> connect_transfer_link(
    zmq::context_t& context, const std::string& endpoint, std::size_t messages,
    const std::optional<ClientKeys>& keys = {});

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
  std::size_t count() const { return frames_.size(); }
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

// Bytes of messages and their tensors, by type_name(). What ZeroMQ adds
// (handshakes, heartbeats, lengths) is not counted.
using SentBytes = std::map<std::string_view, std::uint64_t>;

// Sends without ever blocking, the envelope and each frame as a ZeroMQ message
// of its own. `routing_id` is empty for a DEALER. The body's tensor list must
// describe `frames`. Where it fails after the first frame, the receiver waits
// for the rest: the connection is of no more use. Adds what was sent to
// `bytes`, if given.
Sent send(zmq::socket_t& socket, const std::string& routing_id,
          const protocol::Message& message, TensorFrames* frames = nullptr,
          std::uint64_t* bytes = nullptr);

// Waits until an item is readable or the time is over; a signal ends the wait
// early, as if the time were over.
void wait_readable(std::span<zmq::pollitem_t> items,
                   std::chrono::milliseconds timeout);

}  // namespace mdgan
