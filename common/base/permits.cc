#include "common/base/permits.h"

namespace mdgan {

std::shared_ptr<void> Permits::take() {
  std::unique_lock lock(mutex_);
  given_back_.wait(lock, [this] { return left_ > 0; });
  --left_;
  lock.unlock();  // what returns it takes the lock
  return {nullptr, [this](void*) {
            {
              const std::lock_guard guard(mutex_);
              ++left_;
            }
            given_back_.notify_one();
          }};
}

}  // namespace mdgan
