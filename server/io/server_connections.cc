// The server's connections: what arrives on them, what is sent, and which are
// given up.

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "common/base/time.h"
#include "common/merge/norms.h"
#include "common/net/endpoint.h"
#include "common/net/guard_calls.h"
#include "common/tensor/floats.h"
#include "protocol/algorithm.h"
#include "protocol/frames.h"
#include "protocol/limits.h"
#include "protocol/tensor_codecs.h"
#include "server/io/server_shell_impl.h"

namespace mdgan {
namespace {

using namespace std::chrono_literals;

// What the arithmetic bears: what is too large beside others' is refused at the
// round's end (server/core/feedback_bound.h).
constexpr float kMaxFeedback = 1e6F;
// What sums of a site's features are within.
constexpr double kMostOfSums = 1e30;
constexpr std::uint64_t kMostHeldOut = 1'000'000'000;
// Connections nobody said hello on are forgotten beyond so many.
constexpr std::size_t kMaxConnections = std::size_t{4} * protocol::kMaxPeers;
// A hello fits into it. What libzmq reads of a stranger grows the slower.
constexpr int kHelloWindow = 65'536;
// A peer says hello as soon as it is connected; this is longer than the answer
// to a hello takes.
constexpr auto kPatience = 30s;

// Whether the values lie in [-kMaxFeedback, kMaxFeedback]; of int8, whether the
// scales do so for the largest value there is.
bool is_sound(const std::vector<Blob>& tensors) {
  if (tensors.size() > 1 && !is_within(tensors[1], kMaxFeedback)) return false;
  if (tensors.size() == 3)
    return is_within(tensors[2], kMaxFeedback / 128) &&
           !has_negative(tensors[2]);
  return is_within(tensors[0], kMaxFeedback);
}

// A site's numbers are its own: but what is none spoils those of all.
std::string defect_of_evaluated(const protocol::Evaluated& e,
                                const std::vector<Blob>& tensors) {
  if (!e.reason.empty()) return "";
  if (e.images < kFewestHeldOut || e.images > kMostHeldOut)
    return "it says that it measured " + std::to_string(e.images) + " images";
  if (!std::isfinite(e.kernel_distance_mean) ||
      !std::isfinite(e.kernel_distance_std) || !(e.recall >= 0) ||
      !(e.recall <= 1))
    return "what it measured are no distances and shares";
  if (tensors.empty()) return "its sums have other shapes or types";
  for (const Blob& tensor : tensors)
    for (const double value : doubles_of(tensor))
      if (!(std::abs(value) <= kMostOfSums))
        return "its sums hold values that are not finite, or beyond 1e30";
  return "";
}

}  // namespace

void ServerShell::Impl::watch_connections() {
  ConnectionGuard::Limits limits;
  limits.patience = kPatience;
  limits.window_of_stranger = kHelloWindow;
  ConnectionGuard::Calls calls = guard_calls(mailbox, closed, complaints);
  calls.wants_keys = keys.has_value();
  guard.emplace(context, *router, limits, std::move(calls));
}

// --- what arrives -----------------------------------------------------------

ConnectionId ServerShell::Impl::connection_of(const Received& received) {
  const auto [it, is_new] = by_routing_id.try_emplace(
      received.routing_id, ConnectionId{next_connection});
  if (is_new) {
    connections[{next_connection}] = {received.routing_id, received.address,
                                      received.descriptor,
                                      socket_cookie(received.descriptor)};
    if (keys) {
      Connection& connection = connections[{next_connection}];
      // A peer in this process needs no key of its own.
      connection.key =
          received.descriptor < 0 ? keys->own.public_key : received.key;
      connection.user = received.user;
      connection.invited = received.user == kInvitedUser;
    }
    ++next_connection;
    if (connections.size() > kMaxConnections) forget_a_stranger();
  }
  return it->second;
}

void ServerShell::Impl::forget_a_stranger() {
  const auto stranger = std::ranges::find_if(
      connections, [&](const auto& c) { return !coordinator.knows(c.first); });
  if (stranger == connections.end()) return;
  forget(stranger->first);
}

void ServerShell::Impl::forget(ConnectionId id) {
  const auto connection = connections.find(id);
  if (connection == connections.end()) return;
  receiver.forget(connection->second.routing_id);
  by_routing_id.erase(connection->second.routing_id);
  connections.erase(connection);
}

void ServerShell::Impl::give_up_closed() {
  if (closed.empty()) return;
  const std::set<std::pair<int, std::uint64_t>> ends(closed.begin(),
                                                     closed.end());
  closed.clear();
  std::vector<ConnectionId> gone;
  for (const auto& [id, connection] : connections)
    if (ends.contains({connection.descriptor, connection.cookie}))
      gone.push_back(id);
  for (const ConnectionId id : gone) {
    forget(id);
    events.emplace_back(ConnectionLost{id});
  }
  handle_events();
}

// The bytes of all others are thrown away as they come.
bool ServerShell::Impl::wants_tensors(const Received& received) const {
  const auto sender = by_routing_id.find(received.routing_id);
  if (sender == by_routing_id.end()) return false;
  if (coordinator.awaits_chunk(sender->second, *received.message)) return true;
  if (wants_measured(sender->second, received)) return true;
  const auto* sent = std::get_if<protocol::Feedback>(&received.message->body);
  return sent != nullptr && sent->tensors == answer &&
         coordinator.knows(sender->second);
}

void ServerShell::Impl::complain(const Received& received, ConnectionId id) {
  const Error& error = received.message.error();
  complaints.warn(received.address, "unreadable message: " + error.message,
                  Clock::now());
  if (std::exchange(connections[id].complained, true)) return;
  protocol::Message reply;
  reply.run = state.run;
  reply.incarnation = state.incarnation;
  reply.body = protocol::ErrorReply{error.code == ExitCode::kConfiguration
                                        ? protocol::ErrorCode::kVersion
                                        : protocol::ErrorCode::kMalformed,
                                    error.message};
  deliver(id, reply, nullptr);
}

void ServerShell::Impl::on_received(Received received) {
  tick.add_received(received.bytes);
  const ConnectionId id = connection_of(received);
  if (connections[id].revoked) return;
  if (connections[id].invited) {
    on_invited(id, received);
    return;
  }
  if (!received.message) {
    complain(received, id);
    return;
  }
  protocol::Message& message = *received.message;
  if (received.no_room) {  // no fault of its sender's: it is as if it were lost
    complaints.warn(received.address,
                    "what it sent found no room beside what others send",
                    Clock::now());
    return;
  }
  if (auto* hello = std::get_if<protocol::Hello>(&message.body)) {
    // '*': the peer is where it is seen; without an address it is in this
    // process and others find it where they find this server.
    auto listener = parse_endpoint(hello->endpoint, "endpoint");
    if (listener && listener->host == "*" && !received.address.empty()) {
      listener->host = received.address.find(':') == std::string::npos
                           ? received.address
                           : "[" + received.address + "]";
      hello->endpoint = listener->text();
    }
    const bool wants_long =
        std::ranges::find(hello->abilities, protocol::kLongFrames) !=
        hello->abilities.end();
    connections[id].frame_bytes =
        wants_long ? protocol::kLongFrameBytes : protocol::kFrameBytes;
  }
  std::string defect = defect_of(message, received.tensors);
  const double length =
      defect.empty() ? feedback_length(message, received.tensors) : 0;
  arrived = std::move(received.tensors);
  Connection& connection = connections[id];
  auto refusal = protocol::ErrorCode::kMismatch;
  if (auto* hello = std::get_if<protocol::Hello>(&message.body)) {
    if (std::string denied = denial(connection, *hello); !denied.empty()) {
      defect = std::move(denied);
      refusal = protocol::ErrorCode::kUnauthorised;
    }
    if (defect.empty()) defect = denial_of_name(connection, hello->name);
    bound_claims(connection, *hello);
  }
  events.emplace_back(MessageArrived{id, std::move(message), std::move(defect),
                                     length, connection.key, refusal});
}

std::string ServerShell::Impl::defect_of(
    const protocol::Message& message, const std::vector<Blob>& tensors) const {
  if (const auto* hello = std::get_if<protocol::Hello>(&message.body)) {
    if (hello->endpoint.empty() &&
        std::ranges::find(hello->abilities, protocol::kRelay) !=
            hello->abilities.end())
      return "";
    const auto listener = parse_endpoint(hello->endpoint, "endpoint");
    return listener ? "" : listener.error().message;
  }
  if (std::holds_alternative<protocol::Chunk>(message.body))
    return tensors.empty() ? "its bytes were not awaited" : "";
  if (const auto* evaluated = std::get_if<protocol::Evaluated>(&message.body))
    return defect_of_evaluated(*evaluated, tensors);
  const auto* answered = std::get_if<protocol::Feedback>(&message.body);
  if (answered == nullptr || !spec) return "";
  if (!std::isfinite(answered->discriminator_loss) ||
      !std::isfinite(answered->generator_loss))
    return "its losses are not finite";
  if (!(answered->seconds >= 0) || !std::isfinite(answered->seconds))
    return "the seconds that it took are no number of at least 0";
  if (!std::ranges::equal(answer, tensors, {}, {}, &Blob::meta))
    return "its tensors have other shapes or types than this round's: " +
           protocol::shapes_text(answered->tensors) + ", expected " +
           protocol::shapes_text(answer);
  if (!is_sound(tensors))
    return "it holds values that are not finite, or beyond 1e6";
  return "";
}

double ServerShell::Impl::feedback_length(
    const protocol::Message& message, const std::vector<Blob>& tensors) const {
  if (!std::holds_alternative<protocol::Feedback>(message.body) || !spec ||
      traits_of(spec->algorithm).content != RoundContent::kImages)
    return 0;
  // The feedback is the gradient of a mean: of each image 1/b of its own.
  return std::sqrt(static_cast<double>(spec->batch)) *
         euclidean_norm(tensors[0], tensors.size() > 2 ? tensors[2] : Blob{});
}

// --- effects: talk ----------------------------------------------------------

void ServerShell::Impl::deliver(ConnectionId id,
                                const protocol::Message& message,
                                ReadyBatch* batch, std::uint32_t peers) {
  const auto connection = connections.find(id);
  if (connection == connections.end()) {
    events.emplace_back(ConnectionLost{id});
    return;
  }
  const bool may_be_long =
      std::holds_alternative<protocol::Batch>(message.body);
  TensorFrames* frames =
      batch == nullptr
          ? nullptr
          : &batch->frames_of(may_be_long ? connection->second.frame_bytes
                                          : protocol::kFrameBytes);
  std::uint64_t bytes = 0;
  const Sent sent =
      send(*router, connection->second.routing_id, message, frames, &bytes);
  tick.add_sent(bytes, peers);
  if (sent == Sent::kYes) {
    if (std::holds_alternative<protocol::Welcome>(message.body)) {
      connection->second.welcomed = true;
      if (guard) guard->trust(connection->second.descriptor);
    } else if (guard &&
               std::holds_alternative<protocol::Progress>(message.body)) {
      // It may wait long for others, on whose classes the model depends.
      guard->trust(connection->second.descriptor);
    }
    return;
  }
  if (sent == Sent::kFull) {
    complaints.warn(connection->second.address,
                    "takes no more messages; dropping the connection",
                    Clock::now());
    if (guard)
      guard->cut(connection->second.descriptor, connection->second.cookie);
  }
  forget(id);
  events.emplace_back(ConnectionLost{id});
}

void ServerShell::Impl::apply(const SendMessage& e) {
  if (std::holds_alternative<protocol::Goodbye>(e.message.body))
    goodbyes.push_back(e);
  else
    deliver(e.connection, e.message, nullptr);
}

void ServerShell::Impl::apply(const ForwardMessage& e) {
  ReadyBatch once;
  once.tensors = std::move(arrived);
  deliver(e.connection, e.message, &once);
}

void ServerShell::Impl::apply(const SendBatch& e) {
  const auto start = Clock::now();
  ReadyBatch& batch = batches.at(e.round).at(e.index);
  protocol::Message message;
  message.run = state.run;
  message.incarnation = state.incarnation;
  message.round = e.round;
  message.body = protocol::Batch{e.index, batch.metas};
  deliver(e.connection, message, &batch, e.peers);
  sent_at = Clock::now();
  tick.phases().send += seconds(sent_at - start);
}

}  // namespace mdgan
