#include "common/base/work_sharer.h"

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <stdexcept>
#include <string>
#include <thread>

#include "tests/support/catch.h"

namespace mdgan::test {

using namespace std::chrono_literals;

namespace {

// In a thread of its own, which is helped, so that no other test's is.
void helped(const std::function<void()>& work) {
  WorkSharer sharer([] {});
  std::exception_ptr failure;
  std::thread([&] {
    sharer.serve_this_thread();
    try {
      work();
    } catch (...) {
      failure = std::current_exception();
    }
  }).join();
  if (failure) std::rethrow_exception(failure);
}

std::string thrown_by(const std::function<void()>& own,
                      const std::function<void()>& other) {
  try {
    side_by_side(own, other);
  } catch (const std::runtime_error& e) {
    return e.what();
  }
  return "";
}

[[noreturn]] void fail(const char* what) { throw std::runtime_error(what); }

}  // namespace

TEST_CASE("A thread without a work sharer does one share after the other",
          "[unit]") {
  CHECK_FALSE(has_work_sharer());
  std::string order;
  side_by_side([&] { order += "own "; }, [&] { order += "other"; });
  CHECK(order == "own other");
}

TEST_CASE("A work sharer's share runs beside its caller's", "[unit]") {
  bool met = false;
  helped([&] {
    CHECK(has_work_sharer());
    // Each waits for the other's sign of life.
    std::promise<std::thread::id> begun;
    std::promise<void> seen;
    side_by_side(
        [&] {
          auto begin = begun.get_future();
          met = begin.wait_for(60s) == std::future_status::ready &&
                begin.get() != std::this_thread::get_id();
          seen.set_value();
        },
        [&] {
          begun.set_value(std::this_thread::get_id());
          seen.get_future().wait();
        });
  });
  CHECK(met);
}

TEST_CASE("Every share is done once, whoever is late", "[unit]") {
  constexpr int kShares = 20'000;
  // Plain: two threads at once would break them.
  int own = 0, other = 0, wrong = 0;
  helped([&] {
    for (int i = 0; i < kShares; ++i) {
      side_by_side([&] { ++own; }, [&] { ++other; });
      if (own != i + 1 || other != i + 1) ++wrong;
      // At times the work sharer is asleep when the next is offered.
      if (i % 1000 == 0) std::this_thread::sleep_for(1ms);
    }
  });
  CHECK(own == kShares);
  CHECK(other == kShares);
  CHECK(wrong == 0);
}

TEST_CASE("What a share throws reaches the caller once both have ended",
          "[unit]") {
  helped([] {
    for (int i = 0; i < 200; ++i) {
      bool ended = false;
      CHECK(thrown_by([&] { ended = true; }, [] { fail("other"); }) == "other");
      CHECK(ended);
      std::atomic<int> running = 0;
      CHECK(thrown_by([] { fail("own"); },
                      [&] {
                        ++running;
                        std::this_thread::yield();
                        --running;
                      }) == "own");
      CHECK(running == 0);
      CHECK(thrown_by([] { fail("own"); }, [] { fail("other"); }) == "own");
      CHECK(thrown_by([] {}, [] {}).empty());  // nothing is left of it
    }
  });
}

TEST_CASE("What shares share, they do themselves", "[unit]") {
  int done = 0;
  helped([&] {
    side_by_side(
        [&] {
          CHECK_FALSE(has_work_sharer());
          side_by_side([&] { ++done; }, [&] { ++done; });
        },
        [] {});
    CHECK(has_work_sharer());
  });
  CHECK(done == 2);
}

}  // namespace mdgan::test
