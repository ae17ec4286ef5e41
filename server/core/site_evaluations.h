// Which peers are asked to measure the generator of which rounds, and who has
// answered: evaluations go on beside rounds, several at once.
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/base/time.h"

namespace mdgan {

class SiteEvaluations {
 public:
  // Further ones would have peers that are slow fall behind for good.
  static constexpr std::size_t kAtOnce = 4;

  // Whether one of this round may be begun.
  bool has_room() const { return open_.size() < kAtOnce; }
  // The generator's features are being made.
  void begin(Round round) { open_[round]; }
  bool is_begun(Round round) const { return open_.contains(round); }
  // These are asked, and have until `deadline`.
  void ask(Round round, std::set<PeerId> peers, TimePoint deadline) {
    open_.at(round) = {std::move(peers), deadline};
  }
  bool awaits(Round round, PeerId peer) const {
    const auto it = open_.find(round);
    return it != open_.end() && it->second.awaited.contains(peer);
  }
  void answered(Round round, PeerId peer) {
    open_.at(round).awaited.erase(peer);
  }
  // It answers none of those that are open any more.
  void lose(PeerId peer) {
    for (auto& [round, one] : open_) one.awaited.erase(peer);
  }
  // Ends an evaluation that is complete or whose time is over, the oldest
  // first; nothing if there is none.
  std::optional<Round> take_ended(TimePoint now) {
    for (auto it = open_.begin(); it != open_.end(); ++it) {
      const auto& [awaited, deadline] = it->second;
      if (!deadline || (!awaited.empty() && *deadline > now)) continue;
      const Round round = it->first;
      open_.erase(it);
      return round;
    }
    return std::nullopt;
  }
  void end(Round round) { open_.erase(round); }
  void clear() { open_.clear(); }
  std::size_t open() const { return open_.size(); }
  // When the time of the next one is over.
  std::optional<TimePoint> next_deadline() const {
    std::optional<TimePoint> next;
    for (const auto& [round, one] : open_)
      if (one.deadline && (!next || *one.deadline < *next)) next = one.deadline;
    return next;
  }

 private:
  struct Evaluation {
    std::set<PeerId> awaited;
    std::optional<TimePoint> deadline;  // none before peers are asked
  };
  std::map<Round, Evaluation> open_;
};

}  // namespace mdgan
