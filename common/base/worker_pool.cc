#include "common/base/worker_pool.h"

#include <utility>

namespace mdgan {
namespace {

// Tasks that a strand may run before another strand's turn.
constexpr int kTurn = 2;

}  // namespace

WorkerPool::WorkerPool(unsigned threads, const Task& on_start) {
  threads_.reserve(threads);
  for (unsigned i = 0; i < threads; ++i)
    threads_.emplace_back([this, on_start] {
      if (on_start) on_start();
      run();
    });
}

WorkerPool::~WorkerPool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  ready_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void WorkerPool::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    ready_.wait(lock, [this] { return stopping_ || !runnable_.empty(); });
    if (stopping_) return;
    const std::shared_ptr<Queue> queue = std::move(runnable_.front());
    runnable_.pop_front();
    // What a strand's next task works on is still in this core's cache.
    for (int n = 0; n < kTurn && !stopping_ && !queue->tasks.empty(); ++n) {
      Task task = std::move(queue->tasks.front());
      queue->tasks.pop_front();
      lock.unlock();
      task();
      task = nullptr;  // what the task owned goes before the next may start
      lock.lock();
    }
    if (queue->tasks.empty()) {
      queue->scheduled = false;
    } else {
      runnable_.push_back(queue);  // behind the others: fair between strands
      ready_.notify_one();
    }
  }
}

Strand::Strand(WorkerPool& pool)
    : pool_(&pool), queue_(std::make_shared<WorkerPool::Queue>()) {}

void Strand::post(WorkerPool::Task task) {
  {
    const std::lock_guard lock(pool_->mutex_);
    queue_->tasks.push_back(std::move(task));
    if (std::exchange(queue_->scheduled, true)) return;
    pool_->runnable_.push_back(queue_);
  }
  pool_->ready_.notify_one();
}

}  // namespace mdgan
