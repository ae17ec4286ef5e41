// Exchanges of discriminators: swaps among all, copies for late joiners. An
// exchange is committed as a whole or not at all.
//
// Two phases: every target keeps what has arrived beside its own, on its disk
// too, and says so; then the server decides. What it decides is in
// RunPosition::discriminators, from which a welcome tells every peer what is
// its own: a peer that does not hear of the decision, because a connection
// breaks or a process dies, learns it from its next welcome.

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "common/base/random.h"
#include "common/base/words.h"
#include "server/core/coordinator.h"

namespace mdgan {
namespace {

using namespace std::chrono_literals;

// What a swap may take at least, and what it may take of the time that the last
// one took, or that the first half of its targets took.
constexpr Duration kShortestSwap = 3s;
constexpr int kSwapMultiple = 4;
// A late joiner whose copy failed so often starts with a fresh discriminator.
constexpr int kCopyAttempts = 2;
// A shard is told of that makes swaps so many times as frequent as the median.
constexpr std::uint64_t kFarSmaller = 10;

}  // namespace

void Coordinator::warn_of_small_shard(Out& out) const {
  if (config_.swap_epochs == 0 || live_shards_.size() < 2 ||
      !traits_of(config_.algorithm).swaps)
    return;
  const std::uint64_t smallest = smallest_shard();
  const std::uint64_t median =
      *std::next(live_shards_.begin(),
                 static_cast<std::ptrdiff_t>(live_shards_.size() / 2));
  const auto rounds = [this](std::uint64_t shard) {
    return swap_period(shard, config_.swap_epochs, config_.batch);
  };
  if (kFarSmaller * rounds(smallest) > rounds(median)) return;
  const auto owner = std::ranges::find_if(members_, [&](const auto& m) {
    return m.second.presence == Presence::kLive &&
           m.second.epoch_shard == smallest;
  });
  out.emplace_back(
      Note{"peer " + owner->second.name + " has " + std::to_string(smallest) +
               " images and half of the peers " + std::to_string(median) +
               " or more: all exchange discriminators every " +
               plural(rounds(smallest), "round") +
               ", as the smallest shard has it; with a larger swap-epochs less "
               "often",
           true});
}

std::uint64_t Coordinator::smallest_shard() const {
  return live_shards_.empty() ? 0 : *live_shards_.begin();
}

// Whether the round completed last is to be followed by a swap.
bool Coordinator::swap_is_due() const {
  if (!traits_of(config_.algorithm).swaps) return false;
  const std::uint64_t period =
      swap_period(smallest_shard(), config_.swap_epochs, config_.batch);
  return period > 0 &&
         position_.completed.value - position_.last_swap.value >= period;
}

// Returns whether there is one to wait for.
bool Coordinator::begin_swap(TimePoint now, Out& out) {
  // Also when it fails: the next try comes a full period later.
  position_.last_swap = position_.completed;
  links_.begin_swap();
  std::vector<SwapEdge> edges;
  for (const std::vector<PeerId>& group : swap_groups())
    std::ranges::copy(draw_swap_cycle(group, config_.seed, position_.completed,
                                      [&](PeerId source, PeerId target) {
                                        return is_avoided(source, target, now);
                                      }),
                      std::back_inserter(edges));
  if (edges.empty()) return false;
  enter(RunStage::kSwapping, "a swap is due");
  Exchange exchange;
  exchange.is_swap = true;
  exchange.deadline =
      now + (stopping_ ? std::min(swap_time_, kStopGrace) : swap_time_);
  for (const SwapEdge& edge : edges)
    exchange.brings[edge.target] = discriminator_of(edge.source);
  exchange.edges = std::move(edges);
  begin_exchange(std::move(exchange), now, out);
  return true;
}

void Coordinator::begin_exchange(Exchange exchange, TimePoint now, Out& out) {
  exchange.id = {next_swap_++};
  exchange.begun = now;
  // A token an edge, so that no peer can send in another's place.
  Random random(config_.token_seed, Purpose::kSwapCycle, 1, exchange.id.value);
  std::map<PeerId, protocol::Swap> plans;
  for (const SwapEdge& edge : exchange.edges) {
    const std::uint64_t token = random.next64();
    protocol::Swap& source = plans[edge.source];
    source.sends = true;
    source.target = edge.target;
    if (goes_by_relay(edge.source, edge.target))
      exchange.relays[edge.source] = {edge.target};
    else
      source.endpoint = members_.at(edge.target).endpoint;
    source.send_token = token;
    source.target_key = members_.at(edge.target).key;
    protocol::Swap& target = plans[edge.target];
    target.receives = true;
    target.source = edge.source;
    target.receive_token = token;
    target.source_key = members_.at(edge.source).key;
    target.discriminator = exchange.brings.at(edge.target);
  }
  for (auto& [id, plan] : plans) {
    plan.swap = exchange.id;
    send(members_.at(id), plan, now, out);
  }
  exchange_ends_.emplace(exchange.deadline, exchange.id);
  exchanges_.emplace(exchange.id, std::move(exchange));
}

void Coordinator::on_staged(Member& member, const protocol::Staged& staged,
                            TimePoint now, Out& out) {
  const auto it = exchanges_.find(staged.swap);
  const SwapEdge* incoming = nullptr;
  const SwapEdge* outgoing = nullptr;
  if (it != exchanges_.end())
    for (const SwapEdge& edge : it->second.edges) {
      if (edge.target == member.id) incoming = &edge;
      if (edge.source == member.id) outgoing = &edge;
    }
  // Success is the receiver's to tell; a sender can say that it failed.
  if (incoming == nullptr && (staged.ok || outgoing == nullptr)) {
    ++counters_.unexpected;
    return;
  }
  if (!staged.ok) {
    // A receiver that has staged complains of what it could not send.
    const bool sending =
        incoming == nullptr || it->second.staged.contains(member.id);
    const SwapEdge* edge = sending ? outgoing : incoming;
    if (!sending) it->second.refused.insert(member.id);
    abort_exchange(staged.swap, "peer " + member.name + ": " + staged.reason,
                   edge == nullptr ? std::vector<SwapEdge>{}
                                   : std::vector<SwapEdge>{*edge},
                   now, out);
    return;
  }
  Exchange& exchange = it->second;
  exchange.staged.insert(member.id);
  links_.worked(incoming->source, member.id,
                !exchange.relays.contains(incoming->source));
  if (exchange.staged.size() == exchange.edges.size()) {
    commit_exchange(staged.swap, now, out);
  } else if (exchange.is_swap &&
             2 * exchange.staged.size() >= exchange.edges.size()) {
    // Those that are left get a multiple of what half of them took.
    const Duration time = std::max<Duration>(
        kSwapMultiple * (now - exchange.begun), kShortestSwap);
    const TimePoint deadline =
        std::min(exchange.deadline, exchange.begun + time);
    set_deadline(exchange, deadline);
  }
}

void Coordinator::set_deadline(Exchange& exchange, TimePoint deadline) {
  exchange_ends_.erase({exchange.deadline, exchange.id});
  exchange.deadline = deadline;
  exchange_ends_.emplace(deadline, exchange.id);
}

void Coordinator::commit_exchange(SwapId id, TimePoint now, Out& out) {
  const Exchange exchange = std::move(exchanges_.extract(id).mapped());
  exchange_ends_.erase({exchange.deadline, id});
  // First the decision, then the messages: who misses one is told by a welcome.
  for (const auto& [target, discriminator] : exchange.brings) {
    assign(target, discriminator);
    members_.at(target).last_round = position_.completed;
  }
  for (const SwapEdge& edge : exchange.edges) {
    ++counters_.transfers;
    if (exchange.relays.contains(edge.source)) ++counters_.relayed;
    send(members_.at(edge.target), protocol::Commit{id}, now, out);
    // A peer that only sends learns that it can close its connection.
    if (!exchange.is_swap)
      if (Member& donor = members_.at(edge.source);
          donor.presence != Presence::kAbsent)
        send(donor, protocol::Commit{id}, now, out);
  }
  if (exchange.is_swap) {
    swap_time_ = std::clamp<Duration>(
        kSwapMultiple * (now - exchange.begun),
        std::min<Duration>(kShortestSwap, config_.swap_timeout),
        config_.swap_timeout);
    ++counters_.swaps_committed;
    out.emplace_back(Note{
        "swap after round " + std::to_string(position_.last_swap.value) +
            " among " + plural(exchange.edges.size(), "peer") +
            (exchange.relays.empty()
                 ? ""
                 : ", " + std::to_string(exchange.relays.size()) + " by relay"),
        false,
        NoteKind::kSwap,
        {},
        exchange.edges});
  }
  go_on_after(exchange, true, now, out);
}

void Coordinator::abort_exchange(SwapId id, const std::string& why,
                                 const std::vector<SwapEdge>& broken,
                                 TimePoint now, Out& out) {
  auto node = exchanges_.extract(id);
  if (node.empty()) return;
  const Exchange exchange = std::move(node.mapped());
  exchange_ends_.erase({exchange.deadline, id});
  std::string text = why;
  const bool late = !broken.empty() && why.empty();
  if (late)
    text = "not complete after " +
           std::to_string(static_cast<int>(seconds(now - exchange.begun))) +
           " s";
  if (!broken.empty()) text += blame(exchange, broken, late, now);
  // Those who only send are told, too: they need not go on trying.
  std::set<PeerId> taking_part;
  for (const SwapEdge& edge : exchange.edges)
    taking_part.insert({edge.source, edge.target});
  for (const PeerId peer : taking_part) {
    Member& member = members_.at(peer);
    if (member.presence != Presence::kAbsent)
      send(member, protocol::Abort{id, text}, now, out);
  }
  if (exchange.is_swap) {
    ++counters_.swaps_aborted;
    out.emplace_back(Note{"swap after round " +
                              std::to_string(position_.last_swap.value) +
                              " aborted, every peer keeps its own: " + text,
                          true, NoteKind::kSwapAborted});
  }
  go_on_after(exchange, false, now, out);
}

// Remembers what has not come through, and says what is done about it. `late`:
// there was no time left for it.
std::string Coordinator::blame(const Exchange& exchange,
                               const std::vector<SwapEdge>& broken, bool late,
                               TimePoint now) {
  const auto relayed = [&](const SwapEdge& edge) {
    return exchange.relays.contains(edge.source);
  };
  std::size_t by_relay = 0;
  std::set<PeerId> unreached;
  bool direct = false;
  std::optional<LinkMemory::Avoidance> avoided;
  for (const SwapEdge& edge : broken) {
    if (!relayed(edge) && !exchange.refused.contains(edge.target) &&
        can_relay(edge.source, edge.target)) {
      links_.use_relay(edge.source, edge.target, late);
      if (links_.is_unreached(edge.target)) unreached.insert(edge.target);
      ++by_relay;
    } else if (exchange.is_swap) {
      avoided =
          links_.failed(edge.source, edge.target, now - exchange.begun, now);
      direct = direct || !relayed(edge);
    }
  }
  // A link may be slow and not broken: the next swap has more time.
  if (late && exchange.is_swap)
    swap_time_ = std::min<Duration>(2 * swap_time_, config_.swap_timeout);
  std::string text = "; " +
                     describe_link(broken.front(), relayed(broken.front())) +
                     " had not come through";
  if (broken.size() > 1)
    text += ", nor " + std::to_string(broken.size() - 1) + " others";
  if (by_relay > 0)
    text += by_relay == broken.size()
                ? "; from now on it goes by relay, through this server"
                : "; " + std::to_string(by_relay) +
                      " of them go by relay from now on, through this server";
  if (!unreached.empty())
    text +=
        "; so does all that is sent to " +
        (unreached.size() == 1 ? "peer " + members_.at(*unreached.begin()).name
                               : plural(unreached.size(), "peer")) +
        ", as none has got through to it directly";
  if (avoided)
    text += "; the next " + std::to_string(avoided->swaps) +
            " swaps, and all for " +
            std::to_string(static_cast<int>(seconds(avoided->time))) +
            " s, go around this.";
  if (direct)
    text += " Can those peers reach each other (--listen, --advertise)?";
  return text;
}

std::string Coordinator::describe_link(const SwapEdge& edge,
                                       bool relayed) const {
  const Member& target = members_.at(edge.target);
  return "what peer " + members_.at(edge.source).name + " sends to peer " +
         target.name + (relayed ? " by relay" : " at " + target.endpoint);
}

void Coordinator::go_on_after(const Exchange& exchange, bool committed,
                              TimePoint now, Out& out) {
  if (exchange.is_swap) {
    if (stage_ == RunStage::kSwapping) end_round(now, out);
    return;
  }
  const SwapEdge& copy = exchange.edges.front();
  Member& joiner = members_.at(copy.target);
  if (joiner.presence != Presence::kCopying) return;
  if (committed) {
    set_presence(joiner, Presence::kLive, "has its copy");
    out.emplace_back(
        Note{"peer " + std::to_string(joiner.id.value) + " (" + joiner.name +
             ") has a copy of peer " + std::to_string(copy.source.value) +
             "'s discriminator; " + std::to_string(live_peers()) + " live"});
  } else {
    if (++joiner.failed_copies < kCopyAttempts)
      uncopied_.insert(joiner.id);
    else
      start_afresh(joiner, now, out);
  }
  if (stage_ == RunStage::kWaiting)
    begin_round(now, out);
  else
    serve_joiners(now, out);
}

}  // namespace mdgan
