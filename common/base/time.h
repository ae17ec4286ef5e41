// The monotonic time that the state machines are told and the shells measure.
#pragma once

#include <chrono>

namespace mdgan {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;
using Duration = Clock::duration;

inline double seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace mdgan
