#include "common/base/work_sharer.h"

#if defined(__linux__)
#include <sched.h>
#endif

#include <utility>

namespace mdgan {
namespace {

// Tens of microseconds on x86-64: longer than most gaps between two shares of
// one step.
constexpr int kSpins = 1000;

thread_local WorkSharer* sharer_of_this_thread = nullptr;

struct Restored {
  WorkSharer* sharer;
  ~Restored() { sharer_of_this_thread = sharer; }
};

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// Until the state is another than `from`, which it returns.
int wait_while(const std::atomic<int>& state, int from) {
  for (int i = 0; i < kSpins; ++i) {
    if (const int now = state.load(std::memory_order_acquire); now != from)
      return now;
    pause();
  }
  state.wait(from, std::memory_order_acquire);
  return state.load(std::memory_order_acquire);
}

}  // namespace

WorkSharer::WorkSharer(const std::function<void()>& on_start)
    : thread_([this, on_start] {
        on_start();
        run();
      }) {}

WorkSharer::~WorkSharer() {
  change(kStopping);
  thread_.join();
  if (sharer_of_this_thread == this) sharer_of_this_thread = nullptr;
}

void WorkSharer::serve_this_thread() { sharer_of_this_thread = this; }

void WorkSharer::change(State to) {
  // Not a store: on x86-64 it might still be on its way when notify_all() looks
  // for somebody who waits, and whoever begins to wait then sleeps for good.
  state_.exchange(to, std::memory_order_seq_cst);
  state_.notify_all();
}

void WorkSharer::run() {
  while (true) {
    int seen = state_.load(std::memory_order_acquire);
    while (seen != kOffered && seen != kStopping)
      seen = wait_while(state_, seen);
    if (seen == kStopping) return;
    // The caller may have taken it back.
    if (!state_.compare_exchange_strong(seen, kTaken,
                                        std::memory_order_acq_rel))
      continue;
    try {
      (*offered_)();
    } catch (...) {
      failure_ = std::current_exception();
    }
    change(kDone);
  }
}

void WorkSharer::share(const std::function<void()>& own,
                       const std::function<void()>& other) {
  offered_ = &other;
  change(kOffered);
  std::exception_ptr own_failure;
  try {
    own();
  } catch (...) {
    own_failure = std::current_exception();
  }
  int seen = kOffered;
  if (state_.compare_exchange_strong(seen, kIdle, std::memory_order_acq_rel)) {
    if (!own_failure) other();  // nobody was free to begin it
  } else {
    while (seen != kDone) seen = wait_while(state_, seen);
    state_.store(kIdle, std::memory_order_relaxed);
  }
  const std::exception_ptr other_failure = std::exchange(failure_, nullptr);
  if (own_failure) std::rethrow_exception(own_failure);
  if (other_failure) std::rethrow_exception(other_failure);
}

unsigned usable_cores() {
#if defined(__linux__)
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof cores, &cores) == 0)
    return static_cast<unsigned>(CPU_COUNT(&cores));
#endif
  return std::thread::hardware_concurrency();
}

bool has_work_sharer() { return sharer_of_this_thread != nullptr; }

void side_by_side(const std::function<void()>& own,
                  const std::function<void()>& other) {
  // It has one task at a time: what the shares share, they do themselves.
  WorkSharer* sharer = std::exchange(sharer_of_this_thread, nullptr);
  if (sharer == nullptr) {
    own();
    other();
    return;
  }
  const Restored restored{sharer};
  sharer->share(own, other);
}

}  // namespace mdgan
