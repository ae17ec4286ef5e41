// Tasks for another thread, which a test runs when it likes.
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "common/files/write_queue.h"

namespace mdgan::test {

struct PostedTasks {
  WriteQueue::Post post() {
    return
        [this](std::function<void()> task) { all.push_back(std::move(task)); };
  }
  void run() {
    for (const auto& task : std::exchange(all, {})) task();
  }
  std::vector<std::function<void()>> all;
};

}  // namespace mdgan::test
