#include "common/files/line_writer.h"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "common/files/atomic_write.h"
#include "common/files/failpoint.h"
#include "common/files/plain_file.h"

namespace mdgan {
namespace {

Error line_error(std::string_view what, std::string_view path) {
  return {fmt::format("cannot {} {}: {}", what, path, errno_text()),
          ExitCode::kCheckpoint};
}

// The size up to and including the last line end; negative on an error.
off_t end_of_last_line(int fd, off_t size) {
  std::array<char, 4096> block{};
  while (size > 0) {
    const auto want = std::min(static_cast<off_t>(block.size()), size);
    const ssize_t got =
        ::pread(fd, block.data(), static_cast<std::size_t>(want), size - want);
    if (got != want) return -1;
    const std::string_view text(block.data(), static_cast<std::size_t>(want));
    const auto found = text.rfind('\n');
    if (found != std::string_view::npos)
      return size - want + static_cast<off_t>(found) + 1;
    size -= want;
  }
  return 0;
}

}  // namespace

Result<LineWriter> LineWriter::open(const std::filesystem::path& path) {
  auto file =
      open_plain(path, O_RDWR | O_CREAT | O_APPEND, ExitCode::kCheckpoint);
  if (!file) return file.error();
  struct stat status {};
  if (::fstat(file->get(), &status) != 0)
    return line_error("open", path.string());
  const off_t end = end_of_last_line(file->get(), status.st_size);
  if (end < 0) return line_error("read", path.string());
  if (end < status.st_size && ::ftruncate(file->get(), end) != 0)
    return line_error("shorten", path.string());
  return LineWriter(path.string(), std::move(*file));
}

Result<void> LineWriter::append(std::string_view lines) {
  const std::string text = fmt::format("{}\n", lines);
  struct stat before {};
  if (::fstat(file_.get(), &before) != 0) return line_error("write", path_);
  if (before.st_nlink == 0) {
    // Somebody has removed it: another one takes its place.
    auto again = open(path_);
    if (!again) return again.error();
    *this = std::move(*again);
    if (::fstat(file_.get(), &before) != 0) return line_error("write", path_);
  }
  if (failpoint("before-append", path_)) return line_error("write", path_);
  const ssize_t n = ::write(file_.get(), text.data(), text.size());
  if (failpoint("after-append", path_)) return line_error("write", path_);
  if (n == static_cast<ssize_t>(text.size())) return {};
  if (n >= 0) errno = ENOSPC;  // what a short write to a file means
  Error error = line_error("write", path_);
  if (n > 0 && ::ftruncate(file_.get(), before.st_size) != 0)
    error = line_error("shorten", path_);
  return error;
}

}  // namespace mdgan
