// Work that an event loop hands to other threads, and its way back.
//
// A lane runs its tasks one at a time, in order, on a pool's threads. What a
// task returns runs on the loop. Where a file is made of something that must
// not change meanwhile, one lane takes a copy of it and another one writes it.
#pragma once

#include <cstddef>
#include <functional>

#include "common/base/mailbox.h"
#include "common/base/permits.h"
#include "common/base/result.h"
#include "common/base/worker_pool.h"

namespace mdgan {

// The loop that lanes return to, and how many of their tasks have not come
// back: a loop must not end before those have.
//
// Threads: the loop's, but for post_to_loop().
class LaneReturns {
 public:
  explicit LaneReturns(Mailbox& mailbox) : mailbox_(mailbox) {}
  LaneReturns(const LaneReturns&) = delete;
  LaneReturns& operator=(const LaneReturns&) = delete;

  std::size_t awaited() const { return awaited_; }

 private:
  friend class Lane;
  void await_one() { ++awaited_; }
  // From any thread: an awaited task is done, and `then` (if not empty) is to
  // run on the loop.
  void post_to_loop(std::function<void()> then);

  Mailbox& mailbox_;
  std::size_t awaited_ = 0;
};

// Threads: the loop's. `pool` and `returns` outlive the lane's tasks.
class Lane {
 public:
  using Continuation = std::function<void()>;  // runs on the loop; may be empty
  using Work = std::function<Continuation()>;  // runs on the lane
  // Runs on the loop, with error_of() the exception that ended a task.
  using Failure = std::function<void(const Error& error)>;

  Lane(WorkerPool& pool, LaneReturns& returns)
      : strand_(pool), returns_(returns) {}

  // Runs `work` on the lane, then what it returned on the loop; `failed` in its
  // place if `work` throws.
  void run(Work work, Failure failed);

  // Runs `work` on the lane; nobody awaits it, and it wakes the loop only if it
  // throws: `failed` then runs there.
  void run_unawaited(std::function<void()> work, Failure failed);

  // Runs `copy` on this lane, which waits there for a permit first, then what
  // `copy` returned on the lane `writer`, and at last on the loop what that
  // returned; the permit is given back once it is written. If either throws,
  // `failed` runs on the loop; if the permits are closed nothing is copied, and
  // `closed` runs.
  void copy_then_write(Permits& permits, Lane& writer,
                       std::function<Work()> copy, Failure failed,
                       Continuation closed = {});

 private:
  // Does an awaited task's work: `work` and its way back.
  static void finish(LaneReturns& returns, const Work& work,
                     const Failure& failed);

  Strand strand_;
  LaneReturns& returns_;
};

}  // namespace mdgan
