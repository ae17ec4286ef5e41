// How many hellos a run in training handles: each may cost a copy of a
// discriminator, or the swap that is under way. One that is not handled is not
// answered, and an honest peer says it again in seconds.
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <utility>

#include "common/base/ids.h"
#include "common/base/time.h"
#include "server/core/events.h"

namespace mdgan {

// Who sends: the holder of a key, over whatever connections; without a key a
// connection.
using HelloSender = std::pair<PublicKey, ConnectionId>;
inline HelloSender hello_sender(const PublicKey& key, ConnectionId connection) {
  return {key, key == PublicKey{} ? connection : ConnectionId{}};
}

// So many at once, and then so many a second, of each source by itself.
template <typename Source>
class HelloLimit {
 public:
  HelloLimit(double at_once, double a_second)
      : at_once_(at_once), a_second_(a_second) {}

  // Whether one more is handled.
  bool allows(const Source& source, TimePoint now) {
    if (budgets_.size() >= look_at_) forget_idle(now);
    Budget& budget =
        budgets_.try_emplace(source, Budget{at_once_, now}).first->second;
    budget = {left(budget, now), now};
    if (budget.hellos < 1) return false;
    budget.hellos -= 1;
    return true;
  }

 private:
  struct Budget {
    double hellos;
    TimePoint as_of;
  };
  double left(const Budget& budget, TimePoint now) const {
    return std::min(at_once_,
                    budget.hellos + a_second_ * seconds(now - budget.as_of));
  }
  // Those whose budget is whole again are like those that never came.
  void forget_idle(TimePoint now) {
    std::erase_if(budgets_, [&](const auto& entry) {
      return left(entry.second, now) >= at_once_;
    });
    look_at_ = std::max(kFew, 2 * budgets_.size());
  }

  static constexpr std::size_t kFew = 256;
  double at_once_;
  double a_second_;
  std::size_t look_at_ = kFew;
  std::map<Source, Budget> budgets_;
};

}  // namespace mdgan
