// What holds at every moment of a simulated run, whatever goes wrong.

#include <algorithm>
#include <map>
#include <string>

#include "server/core/round_deadline.h"
#include "tests/support/cluster.h"

namespace mdgan::test {

using namespace std::chrono_literals;

void Cluster::check_invariants() {
  if (!server_up_) return;
  // A deadline that is set may be over already.
  const auto due = coordinator_->next_deadline();
  if (due != due_) {
    due_ = due;
    due_from_ = std::max(now_, due.value_or(now_));
  } else if (due && due_from_ + 2s < now_ && !finish_) {
    fail("a timer of the server was not served");
  }
  for (const auto& peer : peers_)
    if (peer->arrivals.size() > 10)
      fail("a peer holds more than ten received discriminators");
}

// Once faults are over a round takes what its peers may take twice, and an
// exchange. Before that all timeouts may follow upon each other.
void Cluster::check_progress() {
  const std::uint64_t steps =
      config_.algorithm == Algorithm::kFlGan ? config_.rounds : 1;
  const Duration round = round_time(config_.round_timeout, steps);
  const bool calm =
      calm_at_ == progress_at_ && completed().value < config_.rounds;
  const Duration faulty = config_.quorum_timeout + kAftermath + 3 * round +
                          3 * config_.swap_timeout;
  Duration longest = faulty;
  if (calm) {
    longest = 2 * round + config_.swap_timeout + 1s;
    // Who came before training began and never answers may be all that is
    // drawn, and is lost after three round-timeouts.
    if (config_.participants > 0) {
      const auto silent = std::ranges::count_if(
          coordinator_->position().names,
          [](const auto& name) { return name.first.starts_with("liar"); });
      longest = std::min(faulty, longest + 3 * silent * round);
    }
  }
  if (now_ - progress_at_ > longest)
    fail("no round was completed for " + std::to_string(longest / 1s) + " s");
}

// Strangers come by as many names as they like.
void Cluster::check_memory() {
  constexpr std::size_t kStrangers = 3 * 64 + 64;  // connections, and suspects
  if (coordinator_->view().members.size() > peers_.size() + kStrangers)
    fail("the server keeps more strangers than it may");
}

// A name stands for one discriminator, wherever it goes and whoever restarts.
void Cluster::check_name(DiscriminatorId name, std::uint64_t d) {
  if (!traits_of(config_.algorithm).peer_keeps_state) return;
  const auto named = by_name_.emplace(name, d).first->second;
  const auto known_as = names_.emplace(d, name).first->second;
  if (named != d || known_as != name)
    fail("discriminator " + std::to_string(d) + " is named " +
         std::to_string(name.value) + ", which is another's name");
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
