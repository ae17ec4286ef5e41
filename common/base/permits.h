// Bounds how many of something there are at once, across threads: copies of a
// model that wait to be written, say.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>

#include "common/base/time.h"

namespace mdgan {

// How long work waits for a disk that hangs before it goes on without.
inline constexpr Duration kDiskPatience = std::chrono::seconds(10);

// Threads: any.
class Permits {
 public:
  // take() waits for up to `patience`: by default as long as it takes. When
  // that was in vain, and `once`, the next ones do not wait until one is given
  // back.
  explicit Permits(unsigned count,
                   std::optional<Duration> patience = std::nullopt,
                   bool once = false)
      : left_(count), patience_(patience), once_(once) {}
  Permits(const Permits&) = delete;
  Permits& operator=(const Permits&) = delete;

  // Waits until there is one. It is given back when the last owner of what is
  // returned lets go, which must be before this object goes. Nothing once
  // close() was called, or when there was none for too long.
  std::shared_ptr<void> take();
  bool closed() const;

  // Nobody gets one any more; who waits for one waits no longer.
  void close();

 private:
  mutable std::mutex mutex_;
  std::condition_variable given_back_;
  unsigned left_;
  std::optional<Duration> patience_;
  const bool once_;
  bool in_vain_ = false;
  bool closed_ = false;
};

}  // namespace mdgan
