#include "common/net/channel.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>
#include <variant>

#include "common/net/endpoint.h"
#include "protocol/codec.h"

namespace mdgan {
namespace {

// Messages, not bytes: memory is bounded by the protocol, which has one round
// per peer outstanding. Room for a round of all peers behind one connection.
constexpr int kHighWaterMark = static_cast<int>(protocol::kMaxPeers);

// Frames larger than `frame_bytes` cost the sender its connection.
void set_common_options(zmq::socket_t& socket, std::size_t frame_bytes) {
  namespace opt = zmq::sockopt;
  socket.set(opt::linger, 0);  // the default hangs the exit
  socket.set(opt::maxmsgsize, static_cast<std::int64_t>(
                                  frame_bytes + protocol::kFrameAllowance));
  socket.set(opt::sndhwm, kHighWaterMark);
  socket.set(opt::rcvhwm, kHighWaterMark);
  // A TTL above 65.5 s wraps in libzmq.
  socket.set(opt::heartbeat_ivl, 5'000);
  socket.set(opt::heartbeat_timeout, 30'000);
  socket.set(opt::heartbeat_ttl, 60'000);
  socket.set(opt::handshake_ivl, 10'000);
  socket.set(opt::tcp_keepalive, 1);
  socket.set(opt::ipv6, true);
}

// A socket for both families shows an IPv4 address as an IPv6 one; people, and
// machines without IPv6, want it as it is. Takes an address or an endpoint.
std::string plain_ipv4(std::string text) {
  constexpr std::string_view kPrefix = "::ffff:";
  const auto at = text.find(kPrefix);
  if (at == std::string::npos) return text;
  text.erase(at, kPrefix.size());
  std::erase_if(text, [](char c) { return c == '[' || c == ']'; });
  return text;
}

// Small frames may lie at odd addresses inside libzmq's receive buffer, where
// reading a float is undefined behaviour.
bool is_aligned(const void* data) {
  return reinterpret_cast<std::uintptr_t>(data) % alignof(std::int64_t) == 0;
}

Blob join_frames(const protocol::TensorMeta& meta, std::uint64_t bytes,
                 std::span<zmq::message_t> frames) {
  if (frames.size() == 1 && is_aligned(frames[0].data())) {
    const auto owner = std::make_shared<zmq::message_t>(std::move(frames[0]));
    return {meta, {owner->data<std::byte>(), owner->size()}, owner};
  }
  struct alignas(64) Line {
    std::byte bytes[64];
  };
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

void fill(Received& received, std::vector<zmq::message_t>& frames) {
  const zmq::message_t& envelope = frames.front();
  received.message =
      protocol::decode({envelope.data<std::byte>(), envelope.size()});
  if (!received.message) return;
  const auto metas = protocol::tensors_of(received.message->body);
  std::vector<std::size_t> sizes;
  sizes.reserve(frames.size() - 1);
  for (std::size_t i = 1; i < frames.size(); ++i)
    sizes.push_back(frames[i].size());
  const auto counts = protocol::check_frames(
      metas, sizes,
      std::holds_alternative<protocol::Batch>(received.message->body));
  if (!counts) {
    received.message = counts.error();
    return;
  }
  std::span<zmq::message_t> rest(frames);
  rest = rest.subspan(1);
  for (std::size_t i = 0; i < metas.size(); ++i) {
    const std::size_t count = (*counts)[i];
    received.tensors.push_back(join_frames(
        metas[i], *protocol::byte_size(metas[i]), rest.first(count)));
    rest = rest.subspan(count);
  }
}

void release_owner(void*, void* hint) {
  delete static_cast<std::shared_ptr<const void>*>(hint);
}

}  // namespace

Result<zmq::socket_t> bind_router(zmq::context_t& context,
                                  std::string& endpoint) {
  try {
    zmq::socket_t socket(context, zmq::socket_type::router);
    set_common_options(socket, protocol::kFrameBytes);
    socket.set(zmq::sockopt::router_mandatory, true);
    socket.bind(endpoint);
    endpoint = plain_ipv4(socket.get(zmq::sockopt::last_endpoint));
    return socket;
  } catch (const zmq::error_t& e) {
    std::string hint = ": ";
    if (e.num() == EADDRINUSE)
      hint = ": another program listens there; choose another port: ";
    if (e.num() == EADDRNOTAVAIL || e.num() == ENODEV)
      hint = ": this machine has no such address: ";
    return Error{"cannot listen on " + endpoint + hint + e.what(),
                 ExitCode::kUnreachable};
  }
}

namespace {

// `queued`: how many messages wait for the connection; none: they are refused.
Result<zmq::socket_t> connect(zmq::context_t& context,
                              const std::string& endpoint,
                              std::optional<int> queued) {
  try {
    zmq::socket_t socket(context, zmq::socket_type::dealer);
    set_common_options(socket, takes_long_frames(endpoint)
                                   ? protocol::kLongFrameBytes
                                   : protocol::kFrameBytes);
    socket.set(zmq::sockopt::connect_timeout, 5'000);
    socket.set(zmq::sockopt::reconnect_ivl, 200);
    socket.set(zmq::sockopt::reconnect_ivl_max, 30'000);
    socket.set(zmq::sockopt::immediate, !queued);
    if (queued) socket.set(zmq::sockopt::sndhwm, *queued);
    socket.connect(endpoint);
    return socket;
  } catch (const zmq::error_t& e) {
    return Error{"cannot connect to " + endpoint + ": " + e.what(),
                 ExitCode::kUsage};
  }
}

}  // namespace

Result<zmq::socket_t> connect_dealer(zmq::context_t& context,
                                     const std::string& endpoint) {
  return connect(context, endpoint, std::nullopt);
}

Result<zmq::socket_t> connect_transfer_link(zmq::context_t& context,
                                            const std::string& endpoint,
                                            std::size_t transfers) {
  return connect(context, endpoint, static_cast<int>(transfers));
}

bool takes_long_frames(const std::string& endpoint) {
  if (endpoint.starts_with("inproc:")) return true;
  const auto parsed = parse_endpoint(endpoint, "endpoint");
  return parsed && is_loopback(*parsed);
}

TensorFrames::TensorFrames(std::span<const Blob> tensors,
                           std::size_t frame_bytes) {
  for (const Blob& blob : tensors) {
    bytes_ += blob.bytes.size();
    for (std::size_t offset = 0; offset < blob.bytes.size();
         offset += frame_bytes) {
      const auto part = blob.bytes.subspan(
          offset, std::min(frame_bytes, blob.bytes.size() - offset));
      // libzmq's signature takes away const; it only ever reads.
      frames_.emplace_back(const_cast<std::byte*>(part.data()), part.size(),
                           release_owner,
                           new std::shared_ptr<const void>(blob.owner));
    }
  }
}

std::vector<zmq::message_t> TensorFrames::share() {
  std::vector<zmq::message_t> copies(frames_.size());
  for (std::size_t i = 0; i < frames_.size(); ++i) copies[i].copy(frames_[i]);
  return copies;
}

Sent send(zmq::socket_t& socket, const std::string& routing_id,
          const protocol::Message& message, TensorFrames* frames,
          std::uint64_t* bytes) {
  const std::vector<std::byte> envelope = protocol::encode(message);
  std::vector<zmq::message_t> parts;
  if (!routing_id.empty()) parts.emplace_back(routing_id);
  parts.emplace_back(envelope.data(), envelope.size());
  if (frames != nullptr)
    for (zmq::message_t& frame : frames->share())
      parts.push_back(std::move(frame));
  for (std::size_t i = 0; i < parts.size(); ++i) {
    auto flags = zmq::send_flags::dontwait;
    if (i + 1 < parts.size()) flags = flags | zmq::send_flags::sndmore;
    try {
      if (!socket.send(parts[i], flags))
        return routing_id.empty() ? Sent::kGone : Sent::kFull;
    } catch (const zmq::error_t&) {  // EHOSTUNREACH; anything else: likewise
      return Sent::kGone;
    }
  }
  if (bytes != nullptr)
    *bytes += envelope.size() + (frames != nullptr ? frames->bytes() : 0);
  return Sent::kYes;
}

void wait_readable(std::span<zmq::pollitem_t> items,
                   std::chrono::milliseconds timeout) {
  try {
    zmq::poll(items.data(), items.size(), timeout);
  } catch (const zmq::error_t& e) {
    if (e.num() != EINTR) throw;
  }
}

std::optional<Received> receive(zmq::socket_t& socket) {
  std::vector<zmq::message_t> frames;
  std::uint64_t bytes = 0;
  std::size_t count = 0;
  while (true) {
    zmq::message_t frame;
    try {
      if (!socket.recv(frame, zmq::recv_flags::dontwait)) return std::nullopt;
    } catch (const zmq::error_t& e) {
      if (e.num() == EINTR && frames.empty()) return std::nullopt;
      throw;
    }
    const bool more = frame.more();
    bytes += frame.size();
    // What is over the limit is read to its end and thrown away.
    if (++count <= protocol::kMaxFrames + 1) frames.push_back(std::move(frame));
    if (!more) break;
  }
  Received received;
  received.bytes = bytes;
  if (socket.get(zmq::sockopt::type) == ZMQ_ROUTER) {
    received.routing_id = frames.front().to_string();
    frames.erase(frames.begin());
  }
  if (frames.empty() || count > protocol::kMaxFrames + 1) {
    received.message =
        Error{"the message has " + std::to_string(count) + " frames"};
    return received;
  }
  // From a body frame: on the routing id's it is missing in libzmq 4.3.4.
  try {
    const char* address =
        frames.front().gets("Peer-Address");  // NOLINT: not stdio's gets()
    if (address != nullptr) received.address = plain_ipv4(address);
  } catch (const zmq::error_t&) {
    // inproc has no addresses
  }
  fill(received, frames);
  return received;
}

}  // namespace mdgan
