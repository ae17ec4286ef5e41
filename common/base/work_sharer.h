// A second thread for shares of another's work that last a few milliseconds at
// most: where peers wait for the server's step, a core is idle beside it.
// Between shares it spins for tens of microseconds at most, then sleeps. What
// it is too late to begin the caller does; for what it has begun the caller
// waits.
#pragma once

#include <atomic>
#include <exception>
#include <functional>
#include <thread>

namespace mdgan {

class WorkSharer {
 public:
  // `on_start` runs first on the new thread (thread-local settings of
  // libraries).
  explicit WorkSharer(const std::function<void()>& on_start);
  // On the thread that it helps, or when that has ended.
  ~WorkSharer();
  WorkSharer(const WorkSharer&) = delete;
  WorkSharer& operator=(const WorkSharer&) = delete;

  // From now on side_by_side() shares the calling thread's work with this
  // work sharer, which must outlive its last call and helps one thread only.
  void serve_this_thread();

 private:
  friend void side_by_side(const std::function<void()>&,
                           const std::function<void()>&);
  enum State : int { kIdle, kOffered, kTaken, kDone, kStopping };
  void run();
  void share(const std::function<void()>& own,
             const std::function<void()>& other);
  void change(State to);

  std::atomic<int> state_ = kIdle;
  const std::function<void()>* offered_ = nullptr;
  std::exception_ptr failure_;  // of what was offered
  std::thread thread_;
};

// On how many cores the operating system lets this program's threads run: where
// it is one, a work sharer only costs time.
unsigned usable_cores();

// Whether the calling thread has a work sharer.
bool has_work_sharer();

// Calls both, `other` on the calling thread's work sharer if it has one and it
// finds a core in time; returns when both have ended. Throws what `own` threw
// (`other` may then not have been called), else what `other` threw. REQUIRES:
// neither needs the other.
void side_by_side(const std::function<void()>& own,
                  const std::function<void()>& other);

}  // namespace mdgan
