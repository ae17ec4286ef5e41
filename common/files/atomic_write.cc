#include "common/files/atomic_write.h"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstdio>

#include "common/files/failpoint.h"
#include "common/files/file_descriptor.h"
#include "common/files/hash.h"

namespace mdgan {
namespace {

// Less what the umask takes.
constexpr mode_t kAsUsual = 0666;

namespace fs = std::filesystem;

Error cannot(std::string_view what, const fs::path& path) {
  return {fmt::format("cannot {} {}: {}", what, path.string(), errno_text()),
          ExitCode::kCheckpoint};
}

bool sync_descriptor(const FileDescriptor& file, const fs::path& path) {
  return !failpoint("before-sync", path) && ::fsync(file.get()) == 0 &&
         !failpoint("after-sync", path);
}

Result<void> write_file(const fs::path& path,
                        std::span<const std::span<const std::byte>> parts,
                        bool sync, mode_t mode = kAsUsual) {
  if (failpoint("before-create", path)) return cannot("create", path);
  FileDescriptor file(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (!file || failpoint("after-create", path)) return cannot("create", path);
  for (const auto part : parts)
    if (failpoint("before-write", path) || !write_all(file.get(), part) ||
        failpoint("after-write", path))
      return cannot("write", path);
  if (sync && !sync_descriptor(file, path)) return cannot("sync", path);
  if (!file.close()) return cannot("close", path);
  return {};
}

fs::path directory_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

Result<void> replace_file(const fs::path& path,
                          std::span<const std::span<const std::byte>> parts,
                          bool sync, mode_t mode = kAsUsual) {
  const fs::path temporary =
      directory_of(path) / temporary_name(path.filename().string());
  // Who could not read the old one cannot read the new one.
  struct stat old {};
  const bool like_old = mode == kAsUsual && ::stat(path.c_str(), &old) == 0;
  if (like_old) mode = old.st_mode & 0777;
  Result<void> written = write_file(temporary, parts, sync, mode);
  if (written && like_old && ::chmod(temporary.c_str(), mode) != 0)
    written = cannot("set the mode of", temporary);
  if (written && (failpoint("before-rename", path) ||
                  ::rename(temporary.c_str(), path.c_str()) != 0 ||
                  failpoint("after-rename", path)))
    written = cannot("replace", path);
  if (!written) ::unlink(temporary.c_str());
  return written;
}

}  // namespace

Result<void> atomic_write(const fs::path& path,
                          std::span<const std::span<const std::byte>> parts) {
  if (auto written = replace_file(path, parts, /*sync=*/true); !written)
    return written;
  return sync_directory(directory_of(path));
}

Result<void> atomic_write(const fs::path& path, std::string_view text) {
  const std::array parts{std::as_bytes(std::span(text))};
  return atomic_write(path, parts);
}

Result<void> atomic_write_private(const fs::path& path, std::string_view text) {
  const std::array parts{std::as_bytes(std::span(text))};
  if (auto written = replace_file(path, parts, /*sync=*/true, 0600); !written)
    return written;
  return sync_directory(directory_of(path));
}

Result<void> atomic_write_unsynced(const fs::path& path,
                                   std::string_view text) {
  const std::array parts{std::as_bytes(std::span(text))};
  return replace_file(path, parts, /*sync=*/false);
}

Result<void> write_new(const fs::path& path,
                       std::span<const std::span<const std::byte>> parts) {
  return write_file(path, parts, /*sync=*/false);
}

Result<void> sync_file(const fs::path& path) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file || !sync_descriptor(file, path)) return cannot("sync", path);
  return {};
}

Result<void> sync_directory(const fs::path& directory) {
  const FileDescriptor handle(
      ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  // Some file systems cannot sync a directory and say EINVAL.
  if (!handle || (!sync_descriptor(handle, directory) && errno != EINVAL))
    return cannot("sync", directory);
  return {};
}

Result<void> make_directories(const fs::path& path) {
  std::error_code ignored;  // what cannot be seen is not there
  if (path.empty() || fs::is_directory(path, ignored)) return {};
  if (auto parent = make_directories(path.parent_path()); !parent)
    return parent;
  std::error_code error;
  if (failpoint("before-create", path)) return cannot("make", path);
  fs::create_directory(path, error);
  if (error)
    return Error{
        fmt::format("cannot make {}: {}", path.string(), error.message()),
        ExitCode::kCheckpoint};
  return sync_directory(directory_of(path));
}

std::string temporary_name(std::string_view name) {
  std::array<std::byte, 6> random{};
  fill_random(random);
  return fmt::format("{}{}-{}", kTemporaryPrefix, name, to_hex(random));
}

}  // namespace mdgan
