// Exchanges of discriminators: swaps among all, copies for late joiners. An
// exchange is committed as a whole or not at all, so that no discriminator is
// ever lost or half loaded.

#include <algorithm>
#include <limits>
#include <utility>

#include "common/base/random.h"
#include "server/core/coordinator.h"

namespace mdgan {

std::uint64_t Coordinator::smallest_shard() const {
  if (live_.empty()) return 0;
  std::uint64_t smallest = std::numeric_limits<std::uint64_t>::max();
  for (const PeerId id : live_)
    smallest = std::min(smallest, members_.at(id).shard_size);
  return smallest;
}

// Whether the round completed last is to be followed by a swap.
bool Coordinator::swap_is_due() const {
  if (!traits_of(config_.algorithm).swaps) return false;
  const std::uint64_t period =
      swap_period(smallest_shard(), config_.swap_epochs, config_.batch);
  return period > 0 &&
         position_.completed.value - position_.last_swap.value >= period;
}

void Coordinator::begin_swap(TimePoint now, Out& out) {
  enter(RunStage::kSwapping, "a swap is due");
  // Also when it fails: the next try comes a full period later.
  position_.last_swap = position_.completed;
  Exchange exchange;
  exchange.id = {next_swap_++};
  exchange.is_swap = true;
  exchange.edges =
      draw_swap_cycle(available(), config_.seed, position_.completed);
  begin_exchange(std::move(exchange), now, out);
}

void Coordinator::begin_exchange(Exchange exchange, TimePoint now, Out& out) {
  exchange.deadline = now + swap_time();
  Random random(config_.token_seed, Purpose::kSwapCycle, 1, exchange.id.value);
  const std::uint64_t token = random.next64();
  std::map<PeerId, protocol::Swap> plans;
  for (const SwapEdge& edge : exchange.edges) {
    protocol::Swap& source = plans[edge.source];
    source.sends = true;
    source.target = edge.target;
    source.endpoint = members_.at(edge.target).endpoint;
    protocol::Swap& target = plans[edge.target];
    target.receives = true;
    target.source = edge.source;
  }
  for (auto& [id, plan] : plans) {
    plan.swap = exchange.id;
    plan.token = token;
    send(members_.at(id), plan, now, out);
  }
  exchanges_.emplace(exchange.id, std::move(exchange));
}

void Coordinator::on_staged(Member& member, const protocol::Staged& staged,
                            TimePoint now, Out& out) {
  const auto it = exchanges_.find(staged.swap);
  const auto takes_part = [&](bool as_source) {
    return it != exchanges_.end() &&
           std::ranges::any_of(it->second.edges, [&](const SwapEdge& edge) {
             return (as_source ? edge.source : edge.target) == member.id;
           });
  };
  // Success is the receiver's to tell; a sender can say that it failed.
  if (!takes_part(false) && (staged.ok || !takes_part(true))) {
    ++counters_.unexpected;
    return;
  }
  if (!staged.ok) {
    end_exchange(staged.swap, false,
                 "peer " + member.name + ": " + staged.reason, now, out);
    return;
  }
  it->second.staged.insert(member.id);
  if (it->second.staged.size() == it->second.edges.size())
    end_exchange(staged.swap, true, "", now, out);
}

void Coordinator::end_exchange(SwapId id, bool commit, const std::string& why,
                               TimePoint now, Out& out) {
  const auto node = exchanges_.extract(id);
  if (node.empty()) return;
  const Exchange& exchange = node.mapped();
  for (const SwapEdge& edge : exchange.edges) {
    Member& target = members_.at(edge.target);
    if (target.presence == Presence::kAbsent) continue;
    counters_.transfers += commit ? 1 : 0;
    if (commit)
      send(target, protocol::Commit{id}, now, out);
    else
      send(target, protocol::Abort{id}, now, out);
  }
  if (exchange.is_swap) {
    ++(commit ? counters_.swaps_committed : counters_.swaps_aborted);
    const std::string what =
        "swap after round " + std::to_string(position_.last_swap.value);
    if (commit)
      out.emplace_back(Note{what + " among " +
                            std::to_string(exchange.edges.size()) + " peers"});
    else
      out.emplace_back(
          Note{what + " aborted, every peer keeps its own: " + why, true});
    if (stage_ == RunStage::kSwapping) end_round(now, out);
    return;
  }
  Member& joiner = members_.at(exchange.edges.front().target);
  if (joiner.presence != Presence::kCopying) return;
  if (commit) {
    set_presence(joiner, Presence::kLive, "has its copy");
    out.emplace_back(Note{"peer " + std::to_string(joiner.id.value) + " (" +
                          joiner.name + ") has a copy of peer " +
                          std::to_string(exchange.edges.front().source.value) +
                          "'s discriminator; " + std::to_string(live_peers()) +
                          " live"});
  } else {
    ++joiner.failed_copies;
    uncopied_.insert(joiner.id);
  }
  if (stage_ == RunStage::kWaiting)
    begin_round(now, out);
  else
    serve_joiners(now, out);
}

}  // namespace mdgan
