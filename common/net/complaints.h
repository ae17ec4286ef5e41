// Warnings about what others do: anybody can cause any number of them, and the
// log must not fill a disk.
#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "common/base/time.h"

namespace mdgan {

// Within a minute, the first of each culprit is shown, and a few in all; the
// rest is counted. Threads: the loop's.
class Complaints {
 public:
  // What `culprit` (an address, a name) did. To be called often.
  void warn(const std::string& culprit, const std::string& what, TimePoint now);
  // Tells how many were not shown, once their minute is over.
  void flush(TimePoint now);

 private:
  TimePoint begun_{};
  std::set<std::string> culprits_;  // whose first was shown
  std::uint64_t shown_ = 0;
  std::uint64_t hidden_ = 0;
};

}  // namespace mdgan
