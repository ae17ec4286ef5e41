#include "common/files/write_queue.h"

#include <spdlog/spdlog.h>

#include <cstddef>
#include <mutex>
#include <utility>
#include <vector>

namespace mdgan {
namespace {

constexpr std::size_t kMostWaiting = 1000;

}  // namespace

class WriteQueue::Writes {
 public:
  explicit Writes(Complaint complaint) : complaint_(std::move(complaint)) {}

  // Whether do_all() is to be called: true unless it is to be already.
  bool put(Write write) {
    const std::lock_guard lock(mutex_);
    if (waiting_.size() < kMostWaiting) waiting_.push_back(std::move(write));
    return waiting_.size() == 1;
  }

  void do_all() {
    // Before any is taken: a later one must not be done before it.
    const std::lock_guard writes(writing_);
    std::vector<Write> taken;
    {
      const std::lock_guard lock(mutex_);
      taken = std::exchange(waiting_, {});
    }
    for (const Write& write : taken) {
      const Result<void> written = write();
      if (!written && !failed_) complaint_(written.error().message);
      failed_ = !written;  // a disk that stays full is one complaint
    }
  }

 private:
  const Complaint complaint_;
  std::mutex mutex_;
  std::vector<Write> waiting_;  // guarded by mutex_
  std::mutex writing_;
  bool failed_ = false;  // guarded by writing_
};

WriteQueue::WriteQueue(Post post, Complaint complaint)
    : writes_(std::make_shared<Writes>(
          complaint ? std::move(complaint)
                    : [](const std::string& why) { spdlog::warn("{}", why); })),
      post_(std::move(post)) {}

void WriteQueue::put(Write write) {
  if (!writes_->put(std::move(write))) return;
  if (post_)
    post_([writes = writes_] { writes->do_all(); });
  else
    finish();
}

void WriteQueue::finish() { writes_->do_all(); }

}  // namespace mdgan
