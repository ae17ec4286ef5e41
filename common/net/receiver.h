// Messages as they arrive, frame by frame.
//
// Every frame is a ZeroMQ message of its own: libzmq keeps the parts of a
// multipart message, however many, until the last one has come, and no
// high-water mark counts them. Here a frame is seen when it arrives and is kept
// only if its message is wanted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>
#include <zmq.hpp>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/tensor/blob.h"
#include "protocol/frames.h"
#include "protocol/messages.h"

namespace mdgan {

class ConnectionGuard;

struct Received {
  std::string routing_id;  // of a ROUTER's connection; else empty
  std::string address;  // the sender's IP address where the transport has one
  // The key of the connection, as zap_handler.h authenticated it; zeros and
  // empty: it has no key.
  PublicKey key{};
  std::string user;
  int descriptor = -1;  // of the sender's connection; -1 within the process
  std::uint64_t bytes = 0;
  // Or why it could not be read: from a malformed envelope to tensor frames
  // that are not what the envelope announces.
  Result<protocol::Message> message = Error{};
  // The tensors that the envelope announces. Empty if they were not wanted, or
  // if there was no room for them.
  std::vector<Blob> tensors;
  bool no_room = false;  // for too much else was unfinished
};

// Puts frames together, one unfinished message for each connection. The bytes
// of all that are unfinished are bounded by kMaxUnfinishedBytes; a message that
// would exceed that is treated as not wanted.
//
// Threads: those of the socket.
class Receiver {
 public:
  // Whether the tensors of a message, whose envelope has come, are kept.
  using Wanted = std::function<bool(const Received&)>;

  // Without `wanted` all are. `guard` is told of every frame and outlives this.
  explicit Receiver(Wanted wanted = {}, ConnectionGuard* guard = nullptr)
      : wanted_(std::move(wanted)), guard_(guard) {}

  // Takes one frame off the socket; false if none is there. Puts the message
  // that it completes, or that cannot be read, into `received`. Never blocks,
  // never throws on content.
  bool take(zmq::socket_t& socket, std::optional<Received>& received);

  // Frees what has come of the unfinished message of a connection, which may be
  // named by its descriptor and the socket_cookie() of that.
  void forget(const std::string& routing_id);
  void forget(int descriptor, std::uint64_t cookie);

  std::uint64_t unfinished_bytes() const { return unfinished_bytes_; }

 private:
  struct Unfinished {
    Received received;
    protocol::FrameSequence sequence;
    std::vector<zmq::message_t> frames;  // of the tensor that is coming
    bool kept = false;
    std::uint64_t cookie = 0;  // of its descriptor
  };

  std::optional<Received> on_envelope(Received received, zmq::message_t& frame);
  std::optional<Received> on_frame(Unfinished& unfinished,
                                   zmq::message_t& frame);

  Wanted wanted_;
  ConnectionGuard* guard_;
  // By the connection's routing id.
  std::unordered_map<std::string, Unfinished> unfinished_;
  std::uint64_t unfinished_bytes_ = 0;  // that they will have
};

}  // namespace mdgan
