#include "server/core/round_deadline.h"

#include <algorithm>
#include <utility>

#include "server/core/coordinator_config.h"

namespace mdgan {
namespace {

// What a straggler gets: a multiple of the time that the quorum took.
constexpr int kStragglerMultiple = 5;
// But no less than what a busy machine may keep a healthy peer from answering.
constexpr Duration kLeastTime = std::chrono::seconds(3);

}  // namespace

void RoundDeadline::start_again(TimePoint now) {
  at_ = now + std::max<Duration>(kLeastTime, at_ - asked_at_);
}

void RoundDeadline::hurry(TimePoint now) {
  if (std::exchange(hurried_, true)) return;
  const Duration time =
      std::max<Duration>(kStragglerMultiple * (now - asked_at_), kLeastTime);
  at_ = std::min(at_, asked_at_ + time);
}

void RoundDeadline::stop(TimePoint now) {
  at_ = std::min(at_, now + kStopGrace);
}

RoundDeadline::Over RoundDeadline::pass(TimePoint now, bool enough,
                                        Duration quorum_timeout) {
  if (enough) return Over::kClose;
  if (std::exchange(quorum_missed_, true)) return Over::kGiveUp;
  at_ = now + quorum_timeout;
  return Over::kWaitForQuorum;
}

}  // namespace mdgan
