#include "common/base/permits.h"

namespace mdgan {

std::shared_ptr<void> Permits::take() {
  std::unique_lock lock(mutex_);
  const auto ready = [this] { return closed_ || left_ > 0; };
  if (!patience_)
    given_back_.wait(lock, ready);
  else if (!in_vain_)
    in_vain_ = !given_back_.wait_for(lock, *patience_, ready) && once_;
  if (closed_ || left_ == 0) return nullptr;
  --left_;
  lock.unlock();  // what returns it takes the lock
  return {this, [this](void*) {
            {
              const std::lock_guard guard(mutex_);
              ++left_;
              in_vain_ = false;
            }
            given_back_.notify_one();
          }};
}

bool Permits::closed() const {
  const std::lock_guard guard(mutex_);
  return closed_;
}

void Permits::close() {
  {
    const std::lock_guard guard(mutex_);
    closed_ = true;
  }
  given_back_.notify_all();
}

}  // namespace mdgan
