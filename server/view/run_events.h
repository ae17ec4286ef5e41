// events.jsonl as the page shows it: the newest lines, and what was counted of
// all of them.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>

namespace mdgan {

// The events that events.jsonl has; another name counts as none of them.
inline constexpr std::array<std::string_view, 10> kEventNames{
    "joined", "left",         "lost",       "late",  "in time",
    "swap",   "swap aborted", "checkpoint", "fault", "finished"};

class RunEvents {
 public:
  static constexpr std::size_t kMostKept = 1000;
  static constexpr std::size_t kMostPeers = 10'000;  // of peers_json()

  void clear() { *this = RunEvents(); }
  // A line that is no flat object, or is longer than 16 KiB, is left out.
  void add(std::string_view line);

  std::uint64_t count(std::string_view event) const;
  // {"total": n, "counts": {EVENT: n}, "last_swap": {event} or null,
  // "events": [...]}: the newest first, at most `limit` and kMostKept.
  std::string json(std::size_t limit) const;
  // [[NAME, {"late": n, "lost": n, "fault": {event}}], ...] of the peers that
  // were late or lost or had a fault, which is the last of these.
  std::string peers_json() const;

 private:
  struct Peer {
    std::uint64_t late = 0;
    std::uint64_t lost = 0;
    std::string fault;  // the event, as JSON
  };
  std::deque<std::string> kept_;  // JSON in ASCII, oldest first
  std::string last_swap_;         // likewise; empty: none
  std::uint64_t total_ = 0;
  std::array<std::uint64_t, kEventNames.size()> counts_{};
  std::map<std::string, Peer> peers_;
};

}  // namespace mdgan
