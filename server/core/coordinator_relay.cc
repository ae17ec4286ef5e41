// Transfers by way of this server: for peers that nobody can connect to, and
// for pairs between which a direct transfer has failed. The server passes
// sealed chunks on, and holds no more of them than a window.

#include <algorithm>
#include <utility>

#include "protocol/algorithm.h"
#include "protocol/frames.h"
#include "protocol/limits.h"
#include "server/core/coordinator.h"

namespace mdgan {
namespace {

using namespace std::chrono_literals;

// While a target takes a chunk at least this often, its exchange is not given
// up before swap-timeout.
constexpr Duration kBetweenChunks = 3s;

}  // namespace

bool Coordinator::can_relay(PeerId source, PeerId target) const {
  return members_.at(source).relays && members_.at(target).relays;
}

bool Coordinator::goes_by_relay(PeerId source, PeerId target) const {
  return can_relay(source, target) && (members_.at(target).endpoint.empty() ||
                                       links_.needs_relay(source, target));
}

bool Coordinator::is_avoided(PeerId source, PeerId target,
                             TimePoint now) const {
  return links_.avoided(source, target, now) ||
         (members_.at(target).endpoint.empty() && !can_relay(source, target));
}

std::uint64_t Coordinator::most_chunks() const {
  return protocol::chunks_of(
      transfer_metas(model_->spec, config_.codecs, model_->parameters));
}

bool Coordinator::awaits_chunk(ConnectionId connection,
                               const protocol::Message& message) const {
  const auto* chunk = std::get_if<protocol::Chunk>(&message.body);
  if (chunk == nullptr || find(connection, message.peer) == nullptr)
    return false;
  const auto exchange = exchanges_.find(chunk->swap);
  if (exchange == exchanges_.end()) return false;
  const auto relay = exchange->second.relays.find(message.peer);
  return relay != exchange->second.relays.end() &&
         chunk->index == relay->second.sent &&
         chunk->index < relay->second.taken + protocol::kChunkWindow &&
         chunk->index < most_chunks() && protocol::is_chunk(chunk->tensors);
}

void Coordinator::on_chunk(Member& member, const MessageArrived& e,
                           TimePoint now, Out& out) {
  const auto& chunk = std::get<protocol::Chunk>(e.message.body);
  const auto exchange = exchanges_.find(chunk.swap);
  if (exchange == exchanges_.end() && chunk.swap.value < next_swap_) {
    ++counters_.unexpected;  // it has ended meanwhile
    return;
  }
  if (exchange == exchanges_.end() ||
      !exchange->second.relays.contains(member.id)) {
    on_breach(member, "a chunk of a transfer that is not its own", now, out);
    return;
  }
  Relay& relay = exchange->second.relays.at(member.id);
  // Its bytes are taken only if it is due.
  const bool is_due = chunk.index == relay.sent;
  if (chunk.index >= relay.taken + protocol::kChunkWindow ||
      chunk.index >= most_chunks() || !protocol::is_chunk(chunk.tensors) ||
      (is_due && !e.defect.empty())) {
    on_breach(member, "more chunks, or longer ones, than it may send", now,
              out);
    return;
  }
  if (!is_due) {  // repeated, or the one before was lost
    ++counters_.unexpected;
    return;
  }
  ++relay.sent;
  Member& target = members_.at(relay.target);
  protocol::Message message = message_to(target, chunk, now);
  out.emplace_back(ForwardMessage{target.connection, std::move(message)});
}

void Coordinator::on_chunks_taken(Member& member,
                                  const protocol::ChunksTaken& taken,
                                  TimePoint now, Out& out) {
  const auto exchange = exchanges_.find(taken.swap);
  if (exchange == exchanges_.end() && taken.swap.value < next_swap_) {
    ++counters_.unexpected;
    return;
  }
  Relay* relay = nullptr;
  PeerId source;
  if (exchange != exchanges_.end())
    for (auto& [from, candidate] : exchange->second.relays)
      if (candidate.target == member.id) {
        relay = &candidate;
        source = from;
      }
  if (relay == nullptr || taken.count > relay->sent) {
    on_breach(member, "word of chunks that it was not sent", now, out);
    return;
  }
  if (taken.count <= relay->taken) {  // repeated
    ++counters_.unexpected;
    return;
  }
  relay->taken = taken.count;
  send(members_.at(source), taken, now, out);
  if (stopping_) return;
  Exchange& open = exchange->second;
  const Duration most = open.is_swap ? config_.swap_timeout : copy_time();
  set_deadline(open, std::max(open.deadline, std::min(open.begun + most,
                                                      now + kBetweenChunks)));
}

void Coordinator::on_breach(Member& member, const std::string& what,
                            TimePoint now, Out& out) {
  ++counters_.unexpected;
  refuse(member.connection, member.id, protocol::ErrorCode::kState,
         "this peer sent " + what, out);
  if (++member.breaches < kInvalidAttempts) return;
  set_aside(
      member,
      "it sent " + what + ", " + std::to_string(member.breaches) + " times",
      "look at its program", now, out);
}

}  // namespace mdgan
