#include "server/view/line_tail.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "common/files/file_descriptor.h"

namespace mdgan {
namespace {

constexpr std::size_t kEndBytes = 64;

// Up to `most` bytes from `offset`; fewer at the file's end, or on an error.
std::string bytes_at(int file, std::uint64_t offset, std::size_t most) {
  std::string bytes(most, '\0');
  std::size_t have = 0;
  while (have < most) {
    const ssize_t got = ::pread(file, bytes.data() + have, most - have,
                                static_cast<off_t>(offset + have));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    have += static_cast<std::size_t>(got);
  }
  bytes.resize(have);
  return bytes;
}

}  // namespace

bool LineTail::goes_on(int file, std::uint64_t device, std::uint64_t inode,
                       std::uint64_t size) const {
  return device == device_ && inode == inode_ && size >= offset_ &&
         bytes_at(file, offset_ - end_.size(), end_.size()) == end_;
}

bool LineTail::read(const std::function<void()>& clear,
                    const std::function<void(std::string_view)>& take) {
  const FileDescriptor file(
      ::open(file_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status {};
  const bool is_there =
      file && ::fstat(file.get(), &status) == 0 && S_ISREG(status.st_mode);
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (!is_there || !goes_on(file.get(), status.st_dev, status.st_ino, size)) {
    if (inode_ != 0) clear();
    offset_ = 0;
    end_.clear();
    begun_.clear();
    skipping_ = false;
    inode_ = 0;
    if (!is_there) return false;
    device_ = status.st_dev;
    inode_ = status.st_ino;
  }
  if (size == offset_) return false;
  const std::string bytes =
      bytes_at(file.get(), offset_,
               static_cast<std::size_t>(
                   std::min<std::uint64_t>(size - offset_, kMostBytes)));
  offset_ += bytes.size();
  end_ = (end_ + bytes)
             .substr(end_.size() + bytes.size() -
                     std::min(kEndBytes, end_.size() + bytes.size()));
  take_lines(bytes, take);
  return !bytes.empty() && offset_ < size;
}

void LineTail::take_lines(std::string_view bytes,
                          const std::function<void(std::string_view)>& take) {
  while (!bytes.empty()) {
    const std::size_t length = std::min(bytes.find('\n'), bytes.size());
    const bool whole = length < bytes.size();
    const std::string_view part = bytes.substr(0, length);
    bytes.remove_prefix(whole ? length + 1 : length);
    if (!skipping_ && begun_.empty() && whole && part.size() <= kMostLine) {
      take(part);
      continue;
    }
    if (!skipping_) begun_ += part;
    if (begun_.size() > kMostLine) {
      begun_ = {};
      skipping_ = true;
    }
    if (!whole) return;
    if (!skipping_) take(begun_);
    begun_.clear();
    skipping_ = false;
  }
}

}  // namespace mdgan
