#include "common/base/unblocking_output.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

namespace mdgan {
namespace {

constexpr std::size_t kMostKept = std::size_t{64} << 10;
constexpr int kLastAttempts = 20;
constexpr int kAttemptMs = 50;

}  // namespace

UnblockingOutput::UnblockingOutput(int descriptor) : descriptor_(descriptor) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) return;
  is_socket_ = S_ISSOCK(status.st_mode);
  const bool may_wait = S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode);
  if (!may_wait) return;
  // O_NONBLOCK belongs to what several processes share; opened anew it is this
  // one's alone.
  const std::string path = "/proc/self/fd/" + std::to_string(descriptor);
  own_ = ::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  may_block_ = own_ < 0;
}

UnblockingOutput::~UnblockingOutput() {
  flush();
  // The last words are worth a moment to a reader who is only slow.
  for (int i = 0; i < kLastAttempts && !kept_.empty(); ++i) {
    pollfd ready{own_ >= 0 ? own_ : descriptor_, POLLOUT, 0};
    (void)::poll(&ready, 1, kAttemptMs);
    flush();
  }
  if (own_ >= 0) ::close(own_);
}

void UnblockingOutput::write(std::string_view text) {
  const std::lock_guard lock(mutex_);
  push();
  if (dropped_ > 0 || kept_.size() + text.size() > kMostKept) {
    ++dropped_;
    return;
  }
  kept_ += text;
  push();
}

void UnblockingOutput::flush() {
  const std::lock_guard lock(mutex_);
  push();
}

// Writes of what is kept as much as goes.
void UnblockingOutput::push() {
  while (!kept_.empty()) {
    const long written = write_some(kept_);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (written < 0) {
      kept_.clear();
      return;
    }
    kept_.erase(0, static_cast<std::size_t>(written));
    if (kept_.empty() && dropped_ > 0) {
      kept_ = "(" + std::to_string(dropped_) +
              " lines are not shown here: nobody read them)\n";
      dropped_ = 0;
    }
  }
}

long UnblockingOutput::write_some(std::string_view text) const {
  if (is_socket_)
    return ::send(descriptor_, text.data(), text.size(),
                  MSG_DONTWAIT | MSG_NOSIGNAL);
  if (own_ >= 0) return ::write(own_, text.data(), text.size());
  if (may_block_) {
    // So many bytes a pipe takes at once if it takes any.
    text = text.substr(0, std::min<std::size_t>(text.size(), PIPE_BUF));
    pollfd ready{descriptor_, POLLOUT, 0};
    if (::poll(&ready, 1, 0) == 0) {
      errno = EAGAIN;
      return -1;
    }
  }
  return ::write(descriptor_, text.data(), text.size());
}

}  // namespace mdgan
