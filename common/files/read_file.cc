#include "common/files/read_file.h"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/stat.h>

#include <cerrno>
#include <exception>
#include <span>

#include "common/files/file_descriptor.h"

namespace mdgan {

Result<std::vector<std::byte>> read_file(const std::filesystem::path& path,
                                         ExitCode code) {
  const auto cannot_read = [&](const std::string& why) {
    return Error{fmt::format("cannot read {}: {}", path.string(), why), code};
  };
  // Without O_NONBLOCK, opening a pipe would wait for its writer.
  const FileDescriptor file(
      ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) != 0)
    return cannot_read(errno_text());
  if (!S_ISREG(status.st_mode)) return cannot_read("it is not a regular file");

  std::vector<std::byte> bytes;
  try {
    bytes.resize(static_cast<std::size_t>(status.st_size));
  } catch (const std::exception&) {
    return cannot_read(
        fmt::format("not enough memory for its {} bytes", status.st_size));
  }
  std::span<std::byte> rest(bytes);
  while (!rest.empty()) {
    const ssize_t n = ::read(file.get(), rest.data(), rest.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return cannot_read(errno_text());
    if (n == 0) return cannot_read("it shrank while it was read");
    rest = rest.subspan(static_cast<std::size_t>(n));
  }
  return bytes;
}

}  // namespace mdgan
