#include "server/run/run_directory.h"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>

#include "common/files/atomic_write.h"

namespace mdgan {
namespace {

namespace fs = std::filesystem;

Error cannot(const std::string& what, const fs::path& path,
             const std::string& reason) {
  return {fmt::format("{}: cannot {}: {}", path.string(), what, reason),
          ExitCode::kCheckpoint};
}

Result<void> make_directories(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return cannot("make this folder", path, error.message());
  return {};
}

// The number of "00012-name", or 0.
std::uint32_t run_number(const std::string& name) {
  std::uint32_t number = 0;
  const char* const end = name.data() + name.size();
  const auto result = std::from_chars(name.data(), end, number);
  const bool valid = result.ec == std::errc{} && result.ptr != end &&
                     *result.ptr == '-' && result.ptr - name.data() >= 5;
  return valid ? number : 0;
}

Result<std::uint32_t> highest_number(const fs::path& parent) {
  std::uint32_t highest = 0;
  std::error_code error;
  for (fs::directory_iterator it(parent, error), end; !error && it != end;
       it.increment(error))
    highest = std::max(highest, run_number(it->path().filename().string()));
  if (error) return cannot("list this folder", parent, error.message());
  return highest;
}

// A start that failed before it trained leaves a folder that may be used again.
bool holds_run(const fs::path& path) {
  const auto filled = [](const fs::path& p) {
    std::error_code error;  // what cannot be seen is not there
    const bool empty = fs::is_empty(p, error);
    return !error && !empty;
  };
  return filled(path / "stats.jsonl") || filled(path / "checkpoints");
}

}  // namespace

Result<RunDirectory> RunDirectory::create_numbered(const fs::path& parent,
                                                   const std::string& name) {
  if (auto made = make_directories(parent); !made) return made.error();
  // Others that number a run meanwhile wait here: two names could otherwise get
  // one number.
  const FileDescriptor folder(
      ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder || ::flock(folder.get(), LOCK_EX) != 0)
    return cannot("lock this folder", parent, errno_text());
  const auto highest = highest_number(parent);
  if (!highest) return highest.error();
  const fs::path path = parent / fmt::format("{:05}-{}", *highest + 1, name);
  if (::mkdir(path.c_str(), 0777) != 0)
    return cannot("make this folder", path, errno_text());
  return create(path);
}

Result<RunDirectory> RunDirectory::create(const fs::path& path) {
  if (auto made = make_directories(path); !made) return made.error();
  auto directory = lock(path);
  if (!directory) return directory;
  if (holds_run(path))
    return Error{
        fmt::format("{0} holds a run already: go on with it by --resume {0}, "
                    "or choose another --run-dir",
                    path.string()),
        ExitCode::kConfiguration};
  if (auto made = directory->make_folders(); !made) return made.error();
  return directory;
}

Result<RunDirectory> RunDirectory::reopen(const fs::path& path) {
  std::error_code ignored;  // what cannot be seen is not there
  if (!fs::exists(path / "config.ini", ignored))
    return Error{
        fmt::format("{} is no run's folder: there is no config.ini in it",
                    path.string()),
        ExitCode::kCheckpoint};
  if (fs::is_empty(path / "config.ini", ignored))
    return Error{
        fmt::format("{} is empty: it should say how the run trains. Write its "
                    "options there again, or start a new run",
                    (path / "config.ini").string()),
        ExitCode::kCheckpoint};
  auto directory = lock(path);
  if (!directory) return directory;
  if (auto made = directory->make_folders(); !made) return made.error();
  return directory;
}

Result<RunDirectory> RunDirectory::lock(const fs::path& path) {
  const fs::path file = path / "lock";
  FileDescriptor lock(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
  if (!lock) return cannot("write this file", file, errno_text());
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    std::array<char, 32> text{};
    const auto size = ::read(lock.get(), text.data(), text.size());
    std::string holder(text.data(),
                       static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
    holder.erase(std::min(holder.find('\n'), holder.size()));
    return Error{fmt::format("{} is in use by process {}: stop that first, or "
                             "choose another --run-dir",
                             path.string(), holder.empty() ? "?" : holder),
                 ExitCode::kConfiguration};
  }
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(lock.get(), 0) != 0 ||
      ::write(lock.get(), pid.data(), pid.size()) !=
          static_cast<ssize_t>(pid.size()))
    return cannot("write this file", file, errno_text());
  return RunDirectory(path, std::move(lock));
}

Result<void> RunDirectory::make_folders() const {
  for (const fs::path& folder : {samples(), checkpoints(), peers()})
    if (auto made = make_directories(folder); !made) return made;
  return {};
}

Result<std::uint32_t> RunDirectory::next_incarnation() const {
  const fs::path file = path_ / "incarnation";
  std::uint32_t incarnation = 0;
  std::ifstream(file) >> incarnation;  // none at the first start
  ++incarnation;
  if (auto written = atomic_write(
          file, std::string_view(std::to_string(incarnation) + "\n"));
      !written)
    return written.error();
  return incarnation;
}

Result<void> RunDirectory::write_configuration(const std::string& text) const {
  return atomic_write(path_ / "config.ini", std::string_view(text));
}

}  // namespace mdgan
