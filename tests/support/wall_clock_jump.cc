// Preloaded into a program, shows it a wall clock that jumps a day to and fro
// every second; the monotonic clock stays as it is.
#include <dlfcn.h>
#include <sys/time.h>
#include <time.h>

namespace mdgan::test {
namespace {

using ClockGettime = int(clockid_t, timespec*);

ClockGettime* real() {
  static auto* const kReal =
      reinterpret_cast<ClockGettime*>(dlsym(RTLD_NEXT, "clock_gettime"));
  return kReal;
}

time_t jump() {
  timespec monotonic{};
  real()(CLOCK_MONOTONIC, &monotonic);
  return monotonic.tv_sec % 2 == 0 ? 86400 : -86400;
}

}  // namespace

extern "C" int clock_gettime(clockid_t clock, timespec* out) noexcept {
  const int failed = real()(clock, out);
  if (failed == 0 &&
      (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
    out->tv_sec += jump();
  return failed;
}

extern "C" int gettimeofday(timeval* out, void*) noexcept {
  timespec now{};
  const int failed = clock_gettime(CLOCK_REALTIME, &now);
  out->tv_sec = now.tv_sec;
  out->tv_usec = now.tv_nsec / 1000;
  return failed;
}

extern "C" time_t time(time_t* out) noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  if (out != nullptr) *out = now.tv_sec;
  return now.tv_sec;
}

}  // namespace mdgan::test
