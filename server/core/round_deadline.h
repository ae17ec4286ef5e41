// Until when a round waits for its peers' answers: all that decides it is here.
#pragma once

#include <cstdint>

#include "common/base/time.h"

namespace mdgan {

// What each further round that a peer takes by itself (FL-GAN) adds.
inline constexpr Duration kLocalRound = std::chrono::seconds(1);

// How long a round may take that stands for `steps` of them.
constexpr Duration round_time(Duration round_timeout, std::uint64_t steps) {
  return round_timeout + (steps - 1) * kLocalRound;
}

class RoundDeadline {
 public:
  // What the run does when the time is over.
  enum class Over {
    kClose,          // the round, with the answers that are there
    kWaitForQuorum,  // once more, for quorum-timeout
    kGiveUp,         // the run
  };

  RoundDeadline() = default;
  // The peers are asked at `now` and have so long.
  RoundDeadline(TimePoint now, Duration time)
      : asked_at_(now), at_(now + time) {}

  TimePoint at() const { return at_; }
  // The time was over once, with too few answers: the next one that makes the
  // quorum closes the round.
  bool quorum_missed() const { return quorum_missed_; }

  // The peers were asked ahead, and the round before it is closed only now: it
  // gets from now on what it was given then, and not less than some seconds.
  void start_again(TimePoint now);
  // A quorum has answered, which took so long since they were asked: those that
  // have not get a multiple of that time, and not the whole of round-timeout.
  void hurry(TimePoint now);
  // The run is being stopped: no round waits longer than kStopGrace.
  void stop(TimePoint now);
  // The time is over. `enough`: the answers that are there will do.
  Over pass(TimePoint now, bool enough, Duration quorum_timeout);

 private:
  TimePoint asked_at_{};
  TimePoint at_{};
  bool quorum_missed_ = false;
  bool hurried_ = false;  // it is that of stragglers already
};

}  // namespace mdgan
