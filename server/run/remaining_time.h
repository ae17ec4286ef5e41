// How long the rest of a run takes.
#pragma once

#include <cstdint>

namespace mdgan {

// Guesses from a moving average: rounds of the last few ticks count, not the
// slow first ones.
class RemainingTime {
 public:
  void add(double seconds_per_round) {
    constexpr double kWeight = 0.2;  // about the last five ticks
    average_ = empty_ ? seconds_per_round
                      : average_ + kWeight * (seconds_per_round - average_);
    empty_ = false;
  }
  bool empty() const { return empty_; }  // nothing is known yet
  // In seconds, for so many rounds to come.
  double of(std::uint64_t rounds) const {
    return average_ * static_cast<double>(rounds);
  }

 private:
  double average_ = 0;
  bool empty_ = true;
};

}  // namespace mdgan
