#include "server/core/coordinator_view.h"

#include <algorithm>
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
  view.live = std::max(live_peers(), waiting_peers());
  view.needed = needed_peers();
  view.classes = config_.classes;
  view.answers = answers_;
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
    shown.class_counts = member.class_counts;
    shown.endpoint = member.endpoint;
    shown.last_heard = member.last_heard;
    shown.owes_since = member.owes_since();
    shown.in_exchange = exchanging.contains(id);
    shown.slow = member.slow;
    shown.missed = member.missed;
    shown.answer_p50 = member.answers.within(0.5);
    shown.answer_p95 = member.answers.within(0.95);
  }
  return view;
}

}  // namespace mdgan
