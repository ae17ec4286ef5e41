// Which peers are asked to measure the generator of which rounds, and who has
// answered: evaluations go on beside rounds, several at once.
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "common/base/ids.h"
#include "common/base/time.h"

namespace mdgan {

class SiteEvaluations {
 public:
  // Further ones would have peers that are slow fall behind for good.
  static constexpr std::size_t kAtOnce = 4;

  // Whether another one may be begun.
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
  struct Ended {
    Round round;
    std::set<PeerId> awaited;  // who has not answered
  };
  // Ends an evaluation that is complete or whose time is over, the oldest
  // first; nothing if there is none.
  std::optional<Ended> take_ended(TimePoint now) {
    return take_first([now](const Evaluation& one) {
      return one.deadline && (one.awaited.empty() || *one.deadline <= now);
    });
  }
  // Ends the oldest that peers have been asked for.
  std::optional<Ended> take_oldest() {
    return take_first(
        [](const Evaluation& one) { return one.deadline.has_value(); });
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

  template <typename Which>
  std::optional<Ended> take_first(Which which) {
    const auto it = std::ranges::find_if(
        open_, [&](const auto& entry) { return which(entry.second); });
    if (it == open_.end()) return std::nullopt;
    Ended ended{it->first, std::move(it->second.awaited)};
    open_.erase(it);
    return ended;
  }

  std::map<Round, Evaluation> open_;
};

}  // namespace mdgan
