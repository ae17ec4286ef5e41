// Writes to files that another thread does, in their order: a disk that hangs
// makes the files late, and holds up nobody who has something to write.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/base/result.h"
#include "common/base/time.h"

namespace mdgan {

// At most 1,000 writes wait; what comes beyond them is lost, and told of.
//
// Threads: any.
class WriteQueue {
 public:
  // Runs a task on another thread, after the tasks before it, or never. Empty:
  // each write is done where it is put.
  using Post = std::function<void(std::function<void()> task)>;
  using Write = std::function<Result<void>()>;
  // Says why a write failed.
  using Complaint = std::function<void(const std::string& why)>;

  // `file` is what complaints call that which is written. Of writes that fail
  // one after the other the first is told of, as a warning in the log unless
  // `complaint` is given.
  WriteQueue(std::string file, Post post, Complaint complaint = {});

  void put(Write write);
  // In the calling thread: what has been put is written when this returns. With
  // `patience`, unless a write before hangs: waits for that so long, and not at
  // all while one does for which was waited in vain.
  void finish(std::optional<Duration> patience = std::nullopt);

 private:
  class Writes;
  std::shared_ptr<Writes> writes_;  // with the tasks that are posted
  Post post_;
};

}  // namespace mdgan
