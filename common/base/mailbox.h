// How other threads hand work to an event loop: a list under a mutex, and a
// file descriptor that wakes the loop's poll.
//
// Threads: post() from any; fd() and drain() belong to the loop.
#pragma once

#include <functional>
#include <mutex>
#include <vector>

namespace mdgan {

class Mailbox {
 public:
  using Task = std::function<void()>;

  Mailbox();  // throws std::system_error when the process is out of descriptors
  ~Mailbox();
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  void post(Task task);

  int fd() const { return fd_; }  // readable while tasks wait
  void drain();  // runs what has been posted, in order, outside the lock

 private:
  int fd_ = -1;
  std::mutex mutex_;
  std::vector<Task> tasks_;
};

}  // namespace mdgan
