// What holds at every moment of a simulated run, whatever goes wrong.

#include <algorithm>
#include <map>
#include <string>

#include "tests/support/cluster.h"

namespace mdgan::test {

using namespace std::chrono_literals;

void Cluster::check_invariants() {
  if (!server_up_) return;
  if (const auto due = coordinator_->next_deadline();
      due && *due + 2s < now_ && !finish_)
    fail("a timer of the server was not served");
  for (const auto& peer : peers_)
    if (peer->arrivals.size() > 10)
      fail("a peer holds more than ten received discriminators");
}

// No batches are made further ahead than the configuration says; that they are
// made as far ahead, so that a run can be repeated, is for unit tests.
void Cluster::check_batches(Round round) {
  if (config_.staleness == 0) return;
  if (round.value <= stepped_.value)
    fail("batches are made for a round that has been stepped");
  if (round.value > stepped_.value + 1 + config_.staleness)
    fail("batches are made further ahead than staleness says");
  const bool over_checkpoint = config_.checkpoint_every > 0 &&
                               round.value > stepped_.value + 1 &&
                               (round.value - 1) / config_.checkpoint_every >
                                   stepped_.value / config_.checkpoint_every;
  if (over_checkpoint) fail("batches are made ahead over a checkpoint");
}

void Cluster::check_step(const StepGenerator& step) {
  if (step.round.value != stepped_.value + step.steps)
    fail("a round was skipped or stepped twice");
  std::map<std::uint64_t, PeerId> trained;
  for (std::size_t i = 0; i < step.contributors.size(); ++i) {
    const PeerId id = step.contributors[i].peer;
    if (kept_.erase({step.round, id}) == 0)
      fail("a contribution was used twice, or was never kept");
    if (i > 0 && !(step.contributors[i - 1].peer < id))
      fail("contributions are not in the order of the peers");
    if (!traits_of(config_.algorithm).peer_keeps_state) continue;
    for (const auto& peer : peers_) {
      const auto d = peer->trained.find(step.round);
      // Another process may still hold an id for its own that was given away.
      const auto name =
          coordinator_->position().names.find(std::to_string(peer->number));
      if (name == coordinator_->position().names.end() || name->second != id ||
          d == peer->trained.end())
        continue;
      if (const auto [other, is_new] = trained.emplace(d->second, id); !is_new)
        fail("peers " + std::to_string(other->second.value) + " and " +
             std::to_string(id.value) + " train the same discriminator");
    }
  }
  std::erase_if(kept_, [&](const auto& k) { return k.first <= step.round; });
  stepped_ = step.round;
  steps_.push_back(step);
}

}  // namespace mdgan::test
