// How many lines a minute tell who came and went: whoever connects can cause
// any number of them.
#pragma once

#include <cstdint>
#include <utility>

#include "common/base/time.h"

namespace mdgan {

class NoteLimit {
 public:
  explicit NoteLimit(std::uint32_t most_a_minute) : most_(most_a_minute) {}

  // Whether a further one is told; else it is counted.
  bool allows(TimePoint now) {
    if (now - begun_ >= std::chrono::minutes(1)) {
      begun_ = now;
      told_ = 0;
    }
    const bool allowed = told_ < most_;
    if (allowed)
      ++told_;
    else
      ++hidden_;
    return allowed;
  }

  // How many were not told, once their minute is over; else 0.
  std::uint64_t take_hidden(TimePoint now) {
    if (now - begun_ < std::chrono::minutes(1)) return 0;
    return std::exchange(hidden_, 0);
  }

 private:
  std::uint32_t most_;
  TimePoint begun_{};
  std::uint32_t told_ = 0;
  std::uint64_t hidden_ = 0;
};

}  // namespace mdgan
