#include "common/net/receiver.h"

#include <cerrno>
#include <cstring>
#include <memory>
#include <span>
#include <utility>
#include <variant>

#include "common/keys/key.h"
#include "common/net/address.h"
#include "common/net/connection_guard.h"
#include "common/net/zap_decision.h"
#include "protocol/codec.h"
#include "protocol/limits.h"

namespace mdgan {
namespace {

// Small frames may lie at odd addresses inside libzmq's receive buffer, where
// reading a float is undefined behaviour.
bool is_aligned(const void* data) {
  return reinterpret_cast<std::uintptr_t>(data) % alignof(std::int64_t) == 0;
}

Blob join_frames(const protocol::TensorMeta& meta,
                 std::span<zmq::message_t> frames) {
  if (frames.size() == 1 && is_aligned(frames[0].data())) {
    const auto owner = std::make_shared<zmq::message_t>(std::move(frames[0]));
    return {meta, {owner->data<std::byte>(), owner->size()}, owner};
  }
  struct alignas(64) Line {
    std::byte bytes[64];
  };
  std::size_t bytes = 0;
  for (const zmq::message_t& frame : frames) bytes += frame.size();
  const std::shared_ptr<Line[]> owner(new Line[(bytes + 63) / 64]);
  auto* out = reinterpret_cast<std::byte*>(owner.get());
  std::size_t offset = 0;
  for (zmq::message_t& frame : frames) {
    std::memcpy(out + offset, frame.data(), frame.size());
    offset += frame.size();
    frame.rebuild();  // each frame goes as soon as it is copied
  }
  return {meta, {out, bytes}, owner};
}

// What is known of the connection on which a frame came; empty: nothing, as of
// the address on inproc.
std::string property_of(zmq::message_t& frame, const char* name) {
  const char* value = zmq_msg_gets(frame.handle(), name);
  return value == nullptr ? "" : value;
}

// One ZeroMQ message. A ROUTER puts the connection's id before it.
struct ZeroMqMessage {
  std::string routing_id;
  zmq::message_t frame;
  std::size_t parts = 0;  // 1 where it is one frame
};

// The next one, if one is there. What has more parts is read to its end and
// thrown away, but for the first.
std::optional<ZeroMqMessage> read(zmq::socket_t& socket) {
  ZeroMqMessage message;
  bool has_id = socket.get(zmq::sockopt::type) == ZMQ_ROUTER;
  bool more = true;
  bool is_first = true;
  while (more) {
    zmq::message_t frame;
    try {
      if (!socket.recv(frame, zmq::recv_flags::dontwait)) return std::nullopt;
    } catch (const zmq::error_t& e) {
      if (e.num() == EINTR && is_first) return std::nullopt;
      throw;
    }
    is_first = false;
    more = frame.more();
    if (std::exchange(has_id, false))
      message.routing_id = frame.to_string();
    else if (++message.parts == 1)
      message.frame = std::move(frame);
  }
  return message;
}

}  // namespace

bool Receiver::take(zmq::socket_t& socket, std::optional<Received>& received) {
  received.reset();
  std::optional<ZeroMqMessage> message = read(socket);
  if (!message) return false;
  zmq::message_t& frame = message->frame;
  const int descriptor = zmq_msg_get(frame.handle(), ZMQ_SRCFD);
  if (guard_ != nullptr && descriptor >= 0) guard_->on_frame(descriptor);

  if (message->parts == 1) {
    const auto open = unfinished_.find(message->routing_id);
    if (open != unfinished_.end()) {
      if (open->second.sequence.take(frame.size())) {
        received = on_frame(open->second, frame);
        return true;
      }
      // Its sender gave it up, and this is an envelope; or it is none.
      forget(message->routing_id);
    }
  }
  Received begun;
  begun.routing_id = std::move(message->routing_id);
  begun.address = plain_ipv4(property_of(frame, "Peer-Address"));
  begun.user = property_of(frame, "User-Id");
  if (!begun.user.empty())
    if (const auto key = public_key_of(property_of(frame, kKeyProperty)))
      begun.key = *key;
  begun.descriptor = descriptor;
  begun.bytes = frame.size();
  if (message->parts != 1) {
    begun.message =
        Error{"a ZeroMQ message of " + std::to_string(message->parts) +
              " parts: each frame must be a message of its own"};
    if (guard_ != nullptr && descriptor >= 0) guard_->cut(descriptor);
    received = std::move(begun);
    return true;
  }
  received = on_envelope(std::move(begun), frame);
  return true;
}

std::optional<Received> Receiver::on_envelope(Received received,
                                              zmq::message_t& frame) {
  received.message = protocol::decode({frame.data<std::byte>(), frame.size()});
  if (!received.message) return received;
  const protocol::Body& body = received.message->body;
  auto sequence = protocol::FrameSequence::of(
      protocol::tensors_of(body),
      std::holds_alternative<protocol::Batch>(body));
  if (!sequence) {
    received.message = sequence.error();
    return received;
  }
  if (sequence->complete()) return received;
  Unfinished unfinished;
  unfinished.sequence = std::move(*sequence);
  const std::uint64_t bytes = unfinished.sequence.bytes();
  received.no_room = unfinished_bytes_ > 0 &&
                     unfinished_bytes_ + bytes > protocol::kMaxUnfinishedBytes;
  unfinished.kept = !received.no_room && (!wanted_ || wanted_(received));
  if (unfinished.kept) unfinished_bytes_ += bytes;
  std::string id = received.routing_id;
  if (received.descriptor >= 0)
    unfinished.cookie = socket_cookie(received.descriptor);
  unfinished.received = std::move(received);
  unfinished_.emplace(std::move(id), std::move(unfinished));
  return std::nullopt;
}

std::optional<Received> Receiver::on_frame(Unfinished& unfinished,
                                           zmq::message_t& frame) {
  Received& received = unfinished.received;
  received.bytes += frame.size();
  if (unfinished.kept) {
    unfinished.frames.push_back(std::move(frame));
    const std::size_t arrived = received.tensors.size();
    if (unfinished.sequence.tensor() > arrived) {
      const auto metas = protocol::tensors_of(received.message->body);
      received.tensors.push_back(
          join_frames(metas[arrived], unfinished.frames));
      unfinished.frames.clear();
    }
  }
  if (!unfinished.sequence.complete()) return std::nullopt;
  Received whole = std::move(received);
  if (unfinished.kept) unfinished_bytes_ -= unfinished.sequence.bytes();
  unfinished_.erase(whole.routing_id);
  return whole;
}

void Receiver::forget(const std::string& routing_id) {
  const auto open = unfinished_.find(routing_id);
  if (open == unfinished_.end()) return;
  if (open->second.kept) unfinished_bytes_ -= open->second.sequence.bytes();
  unfinished_.erase(open);
}

void Receiver::forget(int descriptor, std::uint64_t cookie) {
  std::vector<std::string> ids;
  for (const auto& [id, unfinished] : unfinished_)
    if (unfinished.received.descriptor == descriptor &&
        unfinished.cookie == cookie)
      ids.push_back(id);
  for (const std::string& id : ids) forget(id);
}

}  // namespace mdgan
