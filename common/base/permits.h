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
  // returned lets go, which must be before this object goes. Nothing once
  // close() was called.
  std::shared_ptr<void> take();

  // Nobody gets one any more; who waits for one waits no longer.
  void close();

 private:
  std::mutex mutex_;
  std::condition_variable given_back_;
  unsigned left_;
  bool closed_ = false;
};

}  // namespace mdgan
