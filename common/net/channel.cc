#include "common/net/channel.h"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "common/net/address.h"
#include "common/net/endpoint.h"
#include "protocol/codec.h"

namespace mdgan {
namespace {

// ZeroMQ messages, not bytes: memory is bounded by the protocol, which has one
// round per peer outstanding. Room for a round of all peers behind one
// connection, in frames.
constexpr int kHighWaterMark = 4 * static_cast<int>(protocol::kMaxPeers);

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

void release_owner(void*, void* hint) {
  delete static_cast<std::shared_ptr<const void>*>(hint);
}

}  // namespace

zmq::socket_t make_router(zmq::context_t& context) {
  zmq::socket_t socket(context, zmq::socket_type::router);
  set_common_options(socket, protocol::kFrameBytes);
  socket.set(zmq::sockopt::rcvhwm, kReceiveQueue);
  socket.set(zmq::sockopt::router_mandatory, true);
  return socket;
}

namespace {

Error cannot_listen(const std::string& endpoint, const zmq::error_t& e) {
  std::string hint = ": ";
  if (e.num() == EADDRINUSE)
    hint = ": another program listens there; choose another port: ";
  if (e.num() == EADDRNOTAVAIL || e.num() == ENODEV)
    hint = ": this machine has no such address: ";
  return Error{"cannot listen on " + endpoint + hint + e.what(),
               ExitCode::kUnreachable};
}

// Binds all that belong to one name to one port, which is the first one's
// choice. A machine need not have all addresses of a name; at least one is
// bound.
Result<std::string> bind_all(zmq::socket_t& router,
                             std::vector<Endpoint> endpoints) {
  std::string first;
  std::optional<Error> failure;
  for (Endpoint& endpoint : endpoints) {
    try {
      if (!first.empty())
        endpoint.port = parse_endpoint(first, "endpoint")->port;
      router.bind(endpoint.text());
      if (first.empty())
        first = plain_ipv4(router.get(zmq::sockopt::last_endpoint));
    } catch (const zmq::error_t& e) {
      failure = cannot_listen(endpoint.text(), e);
      if (e.num() == EADDRINUSE) return *failure;
    }
  }
  if (first.empty()) return *failure;
  return first;
}

}  // namespace

Result<void> bind_router(zmq::socket_t& router, std::string& endpoint) {
  if (!endpoint.starts_with("tcp:")) {
    try {
      router.bind(endpoint);
      return {};
    } catch (const zmq::error_t& e) {
      return cannot_listen(endpoint, e);
    }
  }
  const auto parsed = parse_endpoint(endpoint, "endpoint");
  if (!parsed) return parsed.error();
  const auto endpoints = resolve_to_bind(*parsed);
  if (!endpoints)
    return Error{"cannot listen on " + endpoint + ": " +
                     endpoints.error().message +
                     "; give an address or a network interface of this machine",
                 ExitCode::kUnreachable};
  const auto bound = bind_all(router, *endpoints);
  if (!bound) return bound.error();
  endpoint = *bound;
  return {};
}

zmq::socket_t make_dealer(zmq::context_t& context, bool long_frames) {
  zmq::socket_t socket(context, zmq::socket_type::dealer);
  set_common_options(
      socket, long_frames ? protocol::kLongFrameBytes : protocol::kFrameBytes);
  socket.set(zmq::sockopt::connect_timeout, 5'000);
  socket.set(zmq::sockopt::reconnect_ivl, 3'600'000);  // its owner does
  return socket;
}

Result<void> connect(zmq::socket_t& dealer, const std::string& endpoint) {
  try {
    dealer.connect(endpoint);
    return {};
  } catch (const zmq::error_t& e) {
    return Error{"cannot connect to " + endpoint + ": " + e.what(),
                 ExitCode::kUsage};
  }
}

Result<zmq::socket_t> connect_transfer_link(
    zmq::context_t& context, const std::string& endpoint, std::size_t messages,
    const std::optional<ClientKeys>& keys) {
  zmq::socket_t socket = make_dealer(context, /*long_frames=*/false);
  socket.set(zmq::sockopt::reconnect_ivl, 200);
  socket.set(zmq::sockopt::reconnect_ivl_max, 30'000);
  socket.set(zmq::sockopt::sndhwm, static_cast<int>(messages));
  if (keys) use_keys(socket, *keys);
  if (const auto connected = connect(socket, endpoint); !connected)
    return connected.error();
  return socket;
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

namespace {

// One frame, as a message.
Sent send_frame(zmq::socket_t& socket, const std::string& routing_id,
                zmq::message_t frame) {
  const auto flags = zmq::send_flags::dontwait;
  try {
    if (!routing_id.empty()) {
      zmq::message_t id(routing_id);
      if (!socket.send(id, flags | zmq::send_flags::sndmore))
        return Sent::kFull;
    }
    if (!socket.send(frame, flags))
      return routing_id.empty() ? Sent::kGone : Sent::kFull;
  } catch (const zmq::error_t&) {  // EHOSTUNREACH; anything else: likewise
    return Sent::kGone;
  }
  return Sent::kYes;
}

}  // namespace

Sent send(zmq::socket_t& socket, const std::string& routing_id,
          const protocol::Message& message, TensorFrames* frames,
          std::uint64_t* bytes) {
  const std::vector<std::byte> envelope = protocol::encode(message);
  Sent sent = send_frame(socket, routing_id,
                         zmq::message_t(envelope.data(), envelope.size()));
  if (sent != Sent::kYes) return sent;
  if (frames != nullptr)
    for (zmq::message_t& frame : frames->share())
      if (sent = send_frame(socket, routing_id, std::move(frame));
          sent != Sent::kYes)
        return sent;
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

}  // namespace mdgan
