#include "common/files/plain_file.h"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <set>

#include "common/files/atomic_write.h"

namespace mdgan {
namespace {

namespace fs = std::filesystem;

// `there`: the part of `folder` that exists.
Error unwritable(const fs::path& folder, const fs::path& there,
                 const std::string& why) {
  return {fmt::format("cannot write the folder {}: {}{}; make it writable for "
                      "this user, or choose another one",
                      folder.string(),
                      there == folder ? "" : there.string() + ": ", why),
          ExitCode::kCheckpoint};
}

// The folder itself, or the one in which it, or what leads to it, is to be
// made.
fs::path first_there(const fs::path& folder) {
  struct stat status {};
  fs::path there = folder.empty() ? fs::path(".") : folder;
  while (::stat(there.c_str(), &status) != 0 && errno == ENOENT) {
    const fs::path above = there.parent_path();
    if (above == there) break;
    there = above.empty() ? fs::path(".") : above;
  }
  return there;
}

}  // namespace

Result<FileDescriptor> open_plain(const fs::path& path, int flags,
                                  ExitCode code) {
  FileDescriptor file(
      ::open(path.c_str(), flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0666));
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) != 0)
    return Error{fmt::format("cannot open {}: {}", path.string(), errno_text()),
                 code};
  if (!S_ISREG(status.st_mode))
    return Error{
        fmt::format("cannot use {}: it is not a regular file; move it away",
                    path.string()),
        code};
  return file;
}

Result<void> check_plain(const fs::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    // A link that leads nowhere is made a file of by whoever writes it.
    if (errno == ENOENT) return {};
    return Error{
        fmt::format("cannot look at {}: {}", path.string(), errno_text()),
        ExitCode::kCheckpoint};
  }
  if (S_ISREG(status.st_mode)) return {};
  return Error{
      fmt::format("{} is {} where a file belongs: move it away", path.string(),
                  S_ISDIR(status.st_mode)    ? "a folder"
                  : S_ISFIFO(status.st_mode) ? "a pipe"
                  : S_ISSOCK(status.st_mode) ? "a socket"
                                             : "a device"),
      ExitCode::kCheckpoint};
}

Result<void> check_writable(std::span<const fs::path> folders) {
  std::set<fs::path> seen;
  for (const fs::path& folder : folders) {
    const fs::path there = first_there(folder);
    if (!seen.insert(there).second) continue;
    struct stat status {};
    if (::stat(there.c_str(), &status) != 0)
      return unwritable(folder, there, errno_text());
    if (!S_ISDIR(status.st_mode))
      return unwritable(folder, there, "that is no folder");
    const fs::path probe = there / temporary_name("probe");
    if (::mkdir(probe.c_str(), 0777) != 0)
      return unwritable(folder, there, errno_text());
    ::rmdir(probe.c_str());
  }
  return {};
}

}  // namespace mdgan
