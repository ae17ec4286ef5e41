#include "common/base/mailbox.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>
#include <utility>

namespace mdgan {

Mailbox::Mailbox() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (fd_ < 0)
    throw std::system_error(errno, std::generic_category(), "eventfd");
}

Mailbox::~Mailbox() { close(fd_); }

void Mailbox::post(Task task) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  const std::uint64_t one = 1;
  // Cannot fail for want of room: the counter holds 2^64 - 2.
  [[maybe_unused]] const auto written = write(fd_, &one, sizeof one);
}

void Mailbox::drain() {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto bytes = read(fd_, &count, sizeof count);
  std::vector<Task> tasks;
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(tasks_);
  }
  for (Task& task : tasks) task();
}

}  // namespace mdgan
