#include "common/base/lane.h"

#include <exception>
#include <utility>

#include "common/base/error_exception.h"

namespace mdgan {
namespace {

std::function<void()> reported(const Lane::Failure& failed,
                               const std::exception& e) {
  return [failed, error = error_of(e)] { failed(error); };
}

}  // namespace

void LaneReturns::post_to_loop(std::function<void()> then) {
  mailbox_.post([this, then = std::move(then)] {
    --awaited_;
    if (then) then();
  });
}

void Lane::finish(LaneReturns& returns, const Work& work,
                  const Failure& failed) {
  Continuation then;
  try {
    then = work();
  } catch (const std::exception& e) {
    then = reported(failed, e);
  }
  returns.post_to_loop(std::move(then));
}

void Lane::run(Work work, Failure failed) {
  returns_.await_one();
  strand_.post([&returns = returns_, work = std::move(work),
                failed = std::move(failed)] { finish(returns, work, failed); });
}

void Lane::run_unawaited(std::function<void()> work, Failure failed) {
  strand_.post([&returns = returns_, work = std::move(work),
                failed = std::move(failed)] {
    try {
      work();
    } catch (const std::exception& e) {
      returns.mailbox_.post(reported(failed, e));
    }
  });
}

void Lane::copy_then_write(Permits& permits, Lane& writer,
                           std::function<Work()> copy, Failure failed,
                           Continuation closed) {
  returns_.await_one();
  strand_.post([&returns = returns_, &permits, to = writer.strand_,
                copy = std::move(copy), failed = std::move(failed),
                closed = std::move(closed)]() mutable {
    auto permit = permits.take();
    if (!permit) {
      if (permits.closed())
        returns.post_to_loop(closed);
      else
        returns.post_to_loop(
            [failed] { failed({"the one before is still being written"}); });
      return;
    }
    Work write;
    try {
      write = copy();
    } catch (const std::exception& e) {
      returns.post_to_loop(reported(failed, e));
      return;
    }
    // The permit is the last of the task to go: what was written is then on
    // the disk and the copy free.
    to.post([&returns, permit = std::move(permit), write = std::move(write),
             failed] { finish(returns, write, failed); });
  });
}

}  // namespace mdgan
