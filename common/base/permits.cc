#include "common/base/permits.h"

namespace mdgan {

std::shared_ptr<void> Permits::take() {
  std::unique_lock lock(mutex_);
  given_back_.wait(lock, [this] { return closed_ || left_ > 0; });
  if (closed_) return nullptr;
  --left_;
  lock.unlock();  // what returns it takes the lock
  return {this, [this](void*) {
            {
              const std::lock_guard guard(mutex_);
              ++left_;
            }
            given_back_.notify_one();
          }};
}

void Permits::close() {
  {
    const std::lock_guard guard(mutex_);
    closed_ = true;
  }
  given_back_.notify_all();
}

}  // namespace mdgan
