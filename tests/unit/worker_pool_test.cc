#include "common/base/worker_pool.h"

#include <poll.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <latch>
#include <memory>
#include <numeric>
#include <optional>
#include <thread>
#include <vector>

#include "common/base/mailbox.h"
#include "common/base/permits.h"
#include "tests/support/catch.h"

namespace mdgan::test {

using namespace std::chrono_literals;

namespace {

std::vector<int> count_up_to(int n) {
  std::vector<int> numbers(static_cast<std::size_t>(n));
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

bool has_mail(const Mailbox& mailbox) {
  pollfd item{mailbox.fd(), POLLIN, 0};
  return ::poll(&item, 1, 0) == 1;
}

}  // namespace

TEST_CASE("A strand's tasks run one at a time and in order", "[unit]") {
  constexpr int kStrands = 8;
  constexpr int kTasks = 500;
  // Plain vectors: two tasks of a strand at once would break them.
  std::vector<std::vector<int>> seen(kStrands);
  std::latch done(kStrands);
  WorkerPool pool(4, {});
  std::vector<Strand> strands;
  for (int s = 0; s < kStrands; ++s) strands.emplace_back(pool);
  for (int task = 0; task < kTasks; ++task)
    for (std::size_t s = 0; s < kStrands; ++s)
      strands[s].post([&, task, s] {
        seen[s].push_back(task);
        if (task == kTasks - 1) done.count_down();
      });
  done.wait();
  for (const auto& tasks : seen) CHECK(tasks == count_up_to(kTasks));
}

TEST_CASE("Strands run beside each other", "[unit]") {
  std::promise<void> first;
  std::promise<void> second;
  std::promise<bool> met;
  WorkerPool pool(2, {});
  Strand a(pool);
  Strand b(pool);
  a.post([&] {
    first.set_value();
    met.set_value(second.get_future().wait_for(60s) ==
                  std::future_status::ready);
  });
  b.post([&] {
    if (first.get_future().wait_for(60s) == std::future_status::ready)
      second.set_value();
  });
  CHECK(met.get_future().get());
}

TEST_CASE("Every thread of a pool begins with on_start", "[unit]") {
  std::atomic<int> started = 0;
  {
    const WorkerPool pool(3, [&] { ++started; });
  }
  CHECK(started == 3);
}

TEST_CASE("Tasks outlive the strand they were posted to", "[unit]") {
  std::promise<int> last;
  WorkerPool pool(1, {});
  {
    Strand strand(pool);
    for (int i = 0; i < 100; ++i)
      strand.post([&, i] {
        if (i == 99) last.set_value(i);
      });
  }
  CHECK(last.get_future().get() == 99);
}

TEST_CASE("A pool ends though tasks still wait, and drops them", "[unit]") {
  const auto token = std::make_shared<int>(0);
  {
    std::promise<void> running;
    std::atomic<bool> told = false;
    std::optional<Strand> strand;
    // Each task posts its successor: the strand never runs dry.
    const std::function<void(std::shared_ptr<int>)> endless =
        [&](std::shared_ptr<int> t) {
          if (!told.exchange(true)) running.set_value();
          strand->post([&endless, t = std::move(t)] { endless(t); });
        };
    WorkerPool pool(2, {});
    strand.emplace(pool);
    strand->post([&endless, token] { endless(token); });
    running.get_future().wait();
    CHECK(token.use_count() > 1);
  }
  CHECK(token.use_count() == 1);
}

TEST_CASE("A permit is waited for until its last owner lets go", "[unit]") {
  constexpr int kThreads = 6;
  std::atomic<int> held = 0;
  std::atomic<int> most = 0;
  Permits permits(2);
  {
    std::vector<std::jthread> takers;
    for (int t = 0; t < kThreads; ++t)
      takers.emplace_back([&] {
        for (int i = 0; i < 200; ++i) {
          auto permit = permits.take();
          const auto other_owner = permit;
          permit.reset();
          const int now = ++held;
          for (int seen = most; seen < now;)
            most.compare_exchange_weak(seen, now);
          std::this_thread::yield();
          --held;
        }
      });
  }
  CHECK(most >= 1);
  CHECK(most <= 2);
  const auto first = permits.take();
  const auto second = permits.take();
}

TEST_CASE("Closed permits are waited for no longer", "[unit]") {
  Permits permits(1);
  const auto only = permits.take();
  REQUIRE(only);
  {
    std::jthread waits([&] { CHECK_FALSE(permits.take()); });
    permits.close();
  }
  CHECK_FALSE(permits.take());
}

TEST_CASE("After a permit was awaited in vain none is until one is given back",
          "[unit]") {
  Permits permits(1, std::chrono::milliseconds(50), /*once=*/true);
  {
    const auto only = permits.take();
    REQUIRE(only);
    // Were each of them to wait, this test would take longer than it may.
    for (int i = 0; i < 10'000; ++i) CHECK_FALSE(permits.take());
  }
  CHECK(permits.take());
}

TEST_CASE("Any thread may post to a strand", "[unit]") {
  constexpr int kThreads = 6;
  constexpr int kPosts = 300;
  int total = 0;  // touched by the strand alone
  std::latch done(kThreads * kPosts);
  WorkerPool pool(3, {});
  Strand strand(pool);
  {
    std::vector<std::jthread> posters;
    for (int t = 0; t < kThreads; ++t)
      posters.emplace_back([&] {
        for (int i = 0; i < kPosts; ++i)
          strand.post([&] {
            ++total;
            done.count_down();
          });
      });
  }
  done.wait();
  CHECK(total == kThreads * kPosts);
}

TEST_CASE("A mailbox wakes its loop and keeps each sender's order", "[unit]") {
  constexpr int kThreads = 6;
  constexpr int kPosts = 500;
  Mailbox mailbox;
  CHECK_FALSE(has_mail(mailbox));
  std::vector<std::vector<int>> seen(kThreads);
  std::vector<std::jthread> posters;
  for (std::size_t t = 0; t < kThreads; ++t)
    posters.emplace_back([&, t] {
      for (int i = 0; i < kPosts; ++i)
        mailbox.post([&, t, i] { seen[t].push_back(i); });
    });
  const auto total = [&] {
    std::size_t sum = 0;
    for (const auto& numbers : seen) sum += numbers.size();
    return sum;
  };
  while (total() < kThreads * kPosts) {
    pollfd item{mailbox.fd(), POLLIN, 0};
    REQUIRE(::poll(&item, 1, 60'000) == 1);  // a lost wake-up ends here
    mailbox.drain();
  }
  for (const auto& numbers : seen) CHECK(numbers == count_up_to(kPosts));
  posters.clear();
  mailbox.drain();
  CHECK_FALSE(has_mail(mailbox));
}

TEST_CASE("What a task posts while the mailbox is drained comes next time",
          "[unit]") {
  Mailbox mailbox;
  std::vector<int> seen;
  mailbox.post([&] {
    seen.push_back(1);
    mailbox.post([&] { seen.push_back(2); });
  });
  mailbox.drain();
  CHECK(seen == std::vector{1});
  CHECK(has_mail(mailbox));
  mailbox.drain();
  CHECK(seen == std::vector{1, 2});
}

}  // namespace mdgan::test
