// A process that a test starts has a failpoint (common/files/failpoint.h).
#pragma once

#include <cstdlib>
#include <string>

namespace mdgan::test {

// While it lives, processes that are started have this failpoint.
class Failpoint {
 public:
  explicit Failpoint(const std::string& value) {
    ::setenv("MDGAN_FAILPOINT", value.c_str(), 1);
  }
  ~Failpoint() { ::unsetenv("MDGAN_FAILPOINT"); }
  Failpoint(const Failpoint&) = delete;
  Failpoint& operator=(const Failpoint&) = delete;
};

}  // namespace mdgan::test
