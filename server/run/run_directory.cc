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
#include <limits>
#include <nlohmann/json.hpp>
#include <string_view>

#include "common/files/atomic_write.h"
#include "common/files/checkpoint_store.h"
#include "common/files/hash.h"

namespace mdgan {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kMaxIncarnation =
    std::numeric_limits<std::uint32_t>::max();

Error cannot(const std::string& what, const fs::path& path,
             const std::string& reason) {
  return {fmt::format("{}: cannot {}: {}", path.string(), what, reason),
          ExitCode::kCheckpoint};
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

Result<void> check_configuration(const fs::path& path) {
  const fs::path file = path / "config.ini";
  std::error_code ignored;  // what cannot be seen is not there
  const bool exists = fs::exists(file, ignored);
  if (exists && !fs::is_empty(file, ignored)) return {};
  return Error{
      fmt::format("{} is {}: it should say how the run trains. Put it back, or "
                  "start a new run in another folder",
                  file.string(), exists ? "empty" : "missing"),
      ExitCode::kCheckpoint};
}

// The number in a file that holds nothing else; 0 when there is none.
std::uint32_t number_in(const fs::path& file) {
  std::string text;
  std::getline(std::ifstream(file), text, '\0');
  std::uint32_t number = 0;
  const char* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, number);
  const bool whole =
      read.ec == std::errc{} && std::string_view(read.ptr, end) == "\n";
  return whole ? number : 0;
}

// What the last server wrote into status.json; 0 when that cannot be read.
std::uint32_t incarnation_in(const fs::path& status) {
  std::ifstream stream(status);
  const auto json = nlohmann::json::parse(stream, nullptr, false);
  if (!json.is_object()) return 0;
  const auto found = json.find("incarnation");
  const bool valid = found != json.end() && found->is_number_unsigned() &&
                     found->get<std::uint64_t>() <= kMaxIncarnation;
  return valid ? found->get<std::uint32_t>() : 0;
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
  return open(path);
}

Result<RunDirectory> RunDirectory::open(const fs::path& path) {
  if (auto made = make_directories(path); !made) return made.error();
  auto directory = lock(path);
  if (!directory) return directory;
  if (directory->holds_run())
    if (auto known = check_configuration(path); !known) return known.error();
  if (auto made = directory->make_folders(); !made) return made.error();
  return directory;
}

Result<RunDirectory> RunDirectory::reopen(const fs::path& path) {
  std::error_code ignored;  // what cannot be seen is not there
  if (!fs::exists(path / "config.ini", ignored) && !has_run(path))
    return Error{
        fmt::format("{} is no run's folder: there is no config.ini in it",
                    path.string()),
        ExitCode::kCheckpoint};
  if (auto known = check_configuration(path); !known) return known.error();
  return open(path);
}

bool RunDirectory::has_run(const fs::path& path) {
  return !CheckpointStore(path / "checkpoints", 1, 0).empty();
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

std::uint32_t RunDirectory::last_incarnation() const {
  return std::max(number_in(path_ / "incarnation"), incarnation_in(status()));
}

std::uint32_t RunDirectory::next_incarnation(std::uint32_t last) const {
  if (last > 0 && last < kMaxIncarnation) return last + 1;
  if (!holds_run()) return 1;
  // Any number that no server of this run had will do; it is above those that
  // are counted.
  return static_cast<std::uint32_t>(random_number() % (kMaxIncarnation / 2) +
                                    kMaxIncarnation / 4);
}

Result<void> RunDirectory::write_incarnation(std::uint32_t incarnation) const {
  return atomic_write(path_ / "incarnation",
                      std::string_view(std::to_string(incarnation) + "\n"));
}

Result<void> RunDirectory::write_configuration(const std::string& text) const {
  return atomic_write(path_ / "config.ini", std::string_view(text));
}

}  // namespace mdgan
