#include "common/files/output_file.h"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/stat.h>

#include "common/files/atomic_write.h"
#include "common/files/file_descriptor.h"

namespace mdgan {
namespace {

namespace fs = std::filesystem;

// The standard stream that writes to the file of `status`; -1: neither does.
// Such a file is not opened a second time: its own offset would be 0, and what
// the stream has already written would be overwritten.
int stream_of(const struct stat& status) {
  for (const int stream : {STDOUT_FILENO, STDERR_FILENO}) {
    struct stat other {};
    if (::fstat(stream, &other) == 0 && other.st_dev == status.st_dev &&
        other.st_ino == status.st_ino)
      return stream;
  }
  return -1;
}

Result<void> write_into(FileDescriptor file, const fs::path& path,
                        std::span<const std::span<const std::byte>> parts) {
  const auto cannot = [&path](std::string_view what) {
    return Error{
        fmt::format("cannot {} {}: {}", what, path.string(), errno_text()),
        ExitCode::kCheckpoint};
  };
  if (!file) return cannot("open");
  for (const auto part : parts)
    if (!write_all(file.get(), part)) return cannot("write");
  if (!file.close()) return cannot("close");
  return {};
}

}  // namespace

Result<void> write_output(const fs::path& path,
                          std::span<const std::span<const std::byte>> parts) {
  struct stat status {};
  const bool exists = ::stat(path.c_str(), &status) == 0;
  if (const int stream = exists ? stream_of(status) : -1; stream >= 0)
    return write_into(FileDescriptor(::fcntl(stream, F_DUPFD_CLOEXEC, 0)), path,
                      parts);
  std::error_code failed;
  const bool is_link = fs::is_symlink(path, failed);
  if (exists && S_ISREG(status.st_mode)) {
    const fs::path target = is_link ? fs::canonical(path, failed) : path;
    return atomic_write(failed ? path : target, parts);
  }
  if (!exists && !is_link) return atomic_write(path, parts);
  return write_into(FileDescriptor(::open(
                        path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666)),
                    path, parts);
}

}  // namespace mdgan
