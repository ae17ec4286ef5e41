// Writes that another thread does.
#include "common/files/write_queue.h"

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/posted_tasks.h"

namespace mdgan::test {
TEST_CASE("writes are done in their order, and what fails is told once") {
  PostedTasks tasks;
  std::vector<int> done;
  std::vector<std::string> told;
  WriteQueue queue("stats.jsonl", tasks.post(),
                   [&](const std::string& why) { told.push_back(why); });
  const auto put = [&](int number, bool fails) {
    queue.put([&done, number, fails]() -> Result<void> {
      done.push_back(number);
      if (fails) return Error{"full", ExitCode::kCheckpoint};
      return {};
    });
  };
  put(1, false);
  put(2, true);
  put(3, true);
  CHECK(done.empty());
  CHECK(tasks.all.size() == 1);  // one task does all that waits
  tasks.run();
  put(4, false);
  put(5, true);
  queue.finish();  // before the posted task
  tasks.run();
  CHECK(done == std::vector{1, 2, 3, 4, 5});
  CHECK(told == std::vector<std::string>{"full", "full"});
}

TEST_CASE("what a slow disk loses is told of") {
  PostedTasks tasks;
  std::string told;
  WriteQueue queue("stats.jsonl", tasks.post(),
                   [&](const std::string& why) { told += why; });
  int done = 0;
  for (int i = 0; i < 1003; ++i)
    queue.put([&done]() -> Result<void> {
      ++done;
      return {};
    });
  tasks.run();
  CHECK(done == 1000);
  CHECK(told == "stats.jsonl: 3 writes lost, as the disk was too slow");
}

TEST_CASE("who cannot wait for a write that hangs goes on without it") {
  WriteQueue queue("stats.jsonl", {});
  int later = 0;
  // In the midst of a write, as if that hung: nobody may write besides.
  queue.put([&]() -> Result<void> {
    // Were each of them to wait, this test would take longer than it may.
    std::thread([&] {
      for (int i = 0; i < 10'000; ++i)
        queue.finish(std::chrono::milliseconds(50));
    }).join();
    CHECK(later == 0);
    return {};
  });
  queue.put([&]() -> Result<void> {
    ++later;
    return {};
  });
  CHECK(later == 1);
}

}  // namespace mdgan::test
