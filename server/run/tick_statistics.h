// Gathers what happens in a tick of some rounds and makes a StatsRecord of it.
#pragma once

#include <chrono>
#include <cstdint>

#include "common/base/time.h"
#include "server/run/stats_record.h"

namespace mdgan {

class TickStatistics {
 public:
  // The tick begins now; what came before does not count.
  void restart();

  // Seconds that a part of a round has taken are added here.
  PhaseSeconds& phases() { return sum_.seconds; }
  void add_sent(std::uint64_t bytes, std::uint32_t peers) {
    sum_.bytes_sent += bytes;
    sum_.bytes_sent_apart += bytes * peers;
  }
  void add_received(std::uint64_t bytes) { sum_.bytes_received += bytes; }
  // What the aggregation rule did in a round.
  void add_merge(std::uint32_t not_whole, std::uint32_t fallbacks) {
    sum_.answers_not_whole += not_whole;
    sum_.aggregate_fallbacks += fallbacks;
  }
  // The norm of the round that add_rounds() will report next.
  void set_norm(double norm) { norm_ = norm; }
  // The `steps` rounds that end with `round`; the losses are their means.
  void add_rounds(std::uint64_t round, std::uint64_t steps, double d_loss,
                  double g_loss);

  bool empty() const { return rounds_ == 0; }
  // The tick's record; the next tick begins. REQUIRES: !empty().
  StatsRecord finish(std::uint32_t peers);

 private:
  StatsRecord sum_;
  std::uint64_t rounds_ = 0;
  double norm_ = 0;
  TimePoint start_ = Clock::now();
};

}  // namespace mdgan
