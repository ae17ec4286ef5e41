#include "common/files/write_queue.h"

#include <spdlog/spdlog.h>

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "common/base/words.h"

namespace mdgan {
namespace {

constexpr std::size_t kMostWaiting = 1000;

}  // namespace

class WriteQueue::Writes {
 public:
  Writes(std::string file, Complaint complaint)
      : file_(std::move(file)), complaint_(std::move(complaint)) {}

  // Whether do_all() is to be called: true unless it is to be already.
  bool put(Write write) {
    const std::lock_guard lock(mutex_);
    if (waiting_.size() < kMostWaiting)
      waiting_.push_back(std::move(write));
    else
      ++lost_;
    return waiting_.size() == 1;
  }

  // Does what waits once nobody else does; nothing where that takes longer than
  // `patience`.
  void do_all(std::optional<Duration> patience) {
    const Turn turn(*this, patience);
    if (!turn.taken()) return;
    std::vector<Write> writes;
    std::size_t lost = 0;
    {
      const std::lock_guard lock(mutex_);
      writes = std::exchange(waiting_, {});
      lost = std::exchange(lost_, 0);
    }
    for (const Write& write : writes) {
      const Result<void> written = write();
      if (!written && !failed_) complaint_(written.error().message);
      failed_ = !written;  // a disk that stays full is one complaint
    }
    if (lost > 0)
      complaint_(file_ + ": " + plural(lost, "write") +
                 " lost, as the disk was too slow");
  }

 private:
  // Who has it writes: a later write must not be done before an earlier one.
  class Turn {
   public:
    Turn(Writes& writes, std::optional<Duration> patience) : writes_(writes) {
      std::unique_lock lock(writes.mutex_);
      const auto free = [&writes] { return !writes.busy_; };
      if (!patience)
        writes.freed_.wait(lock, free);
      else if (writes.in_vain_)
        patience = Duration::zero();
      taken_ = !patience || writes.freed_.wait_for(lock, *patience, free);
      if (taken_)
        writes.busy_ = true;
      else
        writes.in_vain_ = true;
    }
    ~Turn() {
      if (!taken_) return;
      {
        const std::lock_guard lock(writes_.mutex_);
        writes_.busy_ = writes_.in_vain_ = false;
      }
      writes_.freed_.notify_all();
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

    bool taken() const { return taken_; }

   private:
    Writes& writes_;
    bool taken_ = false;
  };

  const std::string file_;
  const Complaint complaint_;
  bool failed_ = false;  // whose turn it is has it
  std::mutex mutex_;     // guards all below
  std::vector<Write> waiting_;
  std::size_t lost_ = 0;
  std::condition_variable freed_;
  bool busy_ = false;
  bool in_vain_ = false;  // somebody waited until patience was at its end
};

WriteQueue::WriteQueue(std::string file, Post post, Complaint complaint)
    : writes_(std::make_shared<Writes>(
          std::move(file),
          complaint ? std::move(complaint)
                    : [](const std::string& why) { spdlog::warn("{}", why); })),
      post_(std::move(post)) {}

void WriteQueue::put(Write write) {
  if (!writes_->put(std::move(write))) return;
  if (post_)
    post_([writes = writes_] { writes->do_all({}); });
  else
    finish();
}

void WriteQueue::finish(std::optional<Duration> patience) {
  writes_->do_all(patience);
}

}  // namespace mdgan
