#include "common/files/newest_file.h"

#include <spdlog/spdlog.h>

#include <mutex>
#include <optional>
#include <utility>

#include "common/files/atomic_write.h"

namespace mdgan {

// Threads: any.
class NewestFile::Writer {
 public:
  explicit Writer(std::filesystem::path file) : file_(std::move(file)) {}

  // Takes the place of one that has not been written. Whether write_newest() is
  // to be called: true unless it is to be called already.
  bool put(Text text) {
    const std::lock_guard lock(mutex_);
    const bool waits = newest_.has_value();
    newest_ = std::move(text);
    return !waits;
  }

  void write_newest() {
    // Before the newest is taken: an older one must not be written after it.
    const std::lock_guard writes(writing_);
    std::optional<Text> text;
    {
      const std::lock_guard lock(mutex_);
      text = std::exchange(newest_, std::nullopt);
    }
    if (!text) return;
    const auto written = atomic_write_unsynced(file_, (*text)());
    if (!written && !failed_) spdlog::warn("{}", written.error().message);
    failed_ = !written;  // a disk that stays full is one warning
  }

 private:
  const std::filesystem::path file_;
  std::mutex mutex_;
  std::optional<Text> newest_;  // guarded by mutex_
  std::mutex writing_;
  bool failed_ = false;  // guarded by writing_
};

NewestFile::NewestFile(std::filesystem::path file, Post post)
    : writer_(std::make_shared<Writer>(std::move(file))),
      post_(std::move(post)) {}

void NewestFile::write(Text text) {
  if (writer_->put(std::move(text)))
    post_([writer = writer_] { writer->write_newest(); });
}

void NewestFile::write_now(Text text) {
  writer_->put(std::move(text));
  writer_->write_newest();
}

}  // namespace mdgan
