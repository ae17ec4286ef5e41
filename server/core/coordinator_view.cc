#include "server/core/coordinator_view.h"

#include <set>

#include "server/core/coordinator.h"

namespace mdgan {

CoordinatorView Coordinator::view() const {
  CoordinatorView view;
  view.stage = stage_;
  view.started = started_;
  view.stopping = stopping_;
  view.completed = position_.completed;
  view.rounds = config_.rounds;
  view.live = live_peers();
  view.needed = needed_peers();
  std::set<PeerId> exchanging;
  for (const auto& [swap, exchange] : exchanges_)
    for (const SwapEdge& edge : exchange.edges)
      exchanging.insert({edge.source, edge.target});
  view.members.reserve(members_.size());
  for (const auto& [id, member] : members_) {
    MemberView& shown = view.members.emplace_back();
    shown.id = id;
    shown.name = member.name;
    shown.presence = member.presence;
    shown.shard_size = member.shard_size;
    shown.endpoint = member.endpoint;
    shown.last_heard = member.last_heard;
    if (member.owes) shown.owes_since = member.owes_since;
    shown.in_exchange = exchanging.contains(id);
    shown.slow = member.slow;
    shown.missed = member.missed;
  }
  return view;
}

}  // namespace mdgan
