// Bounds how many of something there are at once, across threads: copies of a
// model that wait to be written, say.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>

namespace mdgan {

// Threads: any.
class Permits {
 public:
  explicit Permits(unsigned count) : left_(count) {}
  Permits(const Permits&) = delete;
  Permits& operator=(const Permits&) = delete;

  // Waits until there is one. It is given back when the last owner of what is
  // returned lets go, which must be before this object goes.
  std::shared_ptr<void> take();

 private:
  std::mutex mutex_;
  std::condition_variable given_back_;
  unsigned left_;
};

}  // namespace mdgan
