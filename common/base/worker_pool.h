// Threads that compute, and strands: queues whose tasks run one at a time, in
// order, on whichever thread of the pool is free. A thousand peers share as
// many threads as there are cores, each peer with a strand of its own.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace mdgan {

class WorkerPool {
 public:
  using Task = std::function<void()>;

  // `on_start` runs first on every thread (thread-local settings of libraries).
  WorkerPool(unsigned threads, const Task& on_start);
  // Lets running tasks end; tasks that still wait are dropped.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

 private:
  friend class Strand;
  struct Queue {  // a strand's tasks; guarded by the pool's mutex
    std::deque<Task> tasks;
    bool scheduled = false;
  };
  void run();

  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<std::shared_ptr<Queue>> runnable_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

// Threads: post() from any thread.
class Strand {
 public:
  // The pool must outlive the strand. The strand may go while tasks wait; they
  // still run, so a task must own what it uses.
  explicit Strand(WorkerPool& pool);
  void post(WorkerPool::Task task);

 private:
  WorkerPool* pool_;
  std::shared_ptr<WorkerPool::Queue> queue_;
};

}  // namespace mdgan
