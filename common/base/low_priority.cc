#include "common/base/low_priority.h"

#include <sys/resource.h>

#include <utility>

namespace mdgan {

std::function<void()> at_lower_priority(std::function<void()> start_thread) {
  return [start_thread = std::move(start_thread)] {
    // Linux has this for each thread; where it fails they share alike.
    (void)::setpriority(PRIO_PROCESS, 0, 10);
    start_thread();
  };
}

}  // namespace mdgan
