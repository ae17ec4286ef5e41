#include "server/run/run_directory.h"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string_view>
#include <utility>
#include <vector>

#include "common/files/atomic_write.h"
#include "common/files/checkpoint_store.h"
#include "common/files/hash.h"
#include "common/files/json_depth.h"
#include "common/files/plain_file.h"
#include "common/files/read_file.h"
#include "server/run/run_configuration.h"

namespace mdgan {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kMaxIncarnation =
    std::numeric_limits<std::uint32_t>::max();

// What a server writes into the run's folder, beside folders and metrics.
constexpr std::array<std::string_view, 8> kFiles{
    "config.ini",   "log.txt",     "status.json",    "stats.jsonl",
    "events.jsonl", "incarnation", "partition.json", "model.pt"};

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

// What stands in a file; empty where that cannot be read.
std::string text_in(const fs::path& file) {
  const auto bytes = read_file(file, ExitCode::kCheckpoint);
  if (!bytes) return "";
  return {reinterpret_cast<const char*>(bytes->data()), bytes->size()};
}

// No object if it is none, or nests too deep.
nlohmann::json json_of(std::string_view text) {
  if (!nests_at_most(text, kNestingOfRunFiles)) return {};
  return nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
}

// The number in a file that holds nothing else; 0 when there is none.
std::uint32_t number_in(const fs::path& file) {
  const std::string text = text_in(file);
  std::uint32_t number = 0;
  const char* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, number);
  const bool whole =
      read.ec == std::errc{} && std::string_view(read.ptr, end) == "\n";
  return whole ? number : 0;
}

// What the last server wrote into status.json; 0 when that cannot be read.
std::uint32_t incarnation_in(const fs::path& status) {
  const auto json = json_of(text_in(status));
  if (!json.is_object()) return 0;
  const auto found = json.find("incarnation");
  const bool valid = found != json.end() && found->is_number_unsigned() &&
                     found->get<std::uint64_t>() <= kMaxIncarnation;
  return valid ? found->get<std::uint32_t>() : 0;
}

// Whether one of the file's lines is an object with this in it.
bool has_line(const fs::path& file, const char* key,
              const std::function<bool(const nlohmann::json&)>& is_it) {
  std::istringstream lines(text_in(file));
  for (std::string line; std::getline(lines, line);) {
    const auto json = json_of(line);
    if (json.is_object() && json.contains(key) && is_it(json[key])) return true;
  }
  return false;
}

// Which of the files of a run without a checkpoint shows that it had one; empty
// where none does. A run has its first checkpoint before its first round.
std::string trace_of_training(const fs::path& path) {
  const auto is_past = [](const nlohmann::json& round) {
    return round.is_number_unsigned() && round > 0;
  };
  const auto json = json_of(text_in(path / "status.json"));
  if (json.is_object() &&
      (is_past(json.value("round", nlohmann::json())) ||
       json.value("checkpoint", nlohmann::json()).is_number_unsigned()))
    return "status.json";
  if (has_line(path / "stats.jsonl", "round", is_past)) return "stats.jsonl";
  if (has_line(path / "events.jsonl", "event",
               [](const auto& event) { return event == "checkpoint"; }))
    return "events.jsonl";
  // It is made before this file is.
  std::error_code ignored;  // what cannot be seen is not there
  if (fs::exists(path / "incarnation", ignored) &&
      !fs::exists(path / "checkpoints", ignored))
    return "incarnation";
  return "";
}

// A configuration that no start of a run has written is its owner's: the run's
// would take its place. A start writes its number first.
Result<void> check_not_anothers(const fs::path& path) {
  const fs::path file = path / "config.ini";
  std::error_code ignored;  // what cannot be seen is not there
  if (!fs::exists(file, ignored) || is_marked(text_in(file)) ||
      fs::exists(path / "incarnation", ignored))
    return {};
  return Error{fmt::format("{} is there, and no run of this program has "
                           "written it: give another folder with --run-dir, "
                           "or move the file away",
                           file.string()),
               ExitCode::kConfiguration};
}

// What is no folder is named: "File exists" would tell nobody what to do.
Result<void> check_is_folder(const fs::path& path) {
  std::error_code ignored;  // what cannot be seen is not there
  for (fs::path part = path; !part.empty() && part != part.parent_path();
       part = part.parent_path()) {
    const bool exists = fs::exists(part, ignored);
    if (exists && fs::is_directory(part, ignored)) return {};
    if (exists)
      return Error{part.string() + " is a file: give a folder",
                   ExitCode::kCheckpoint};
    if (fs::is_symlink(part, ignored))
      return Error{part.string() + " is a link to " +
                       fs::read_symlink(part, ignored).string() +
                       ", which is not there: make it, or give another folder",
                   ExitCode::kCheckpoint};
  }
  return {};
}

// A run that has trained is not begun anew because its checkpoints are gone.
Result<void> check_not_lost(const fs::path& path) {
  const std::string trace = trace_of_training(path);
  if (trace.empty()) return {};
  return Error{
      fmt::format("the run in {} has trained, as {} shows, and there is no "
                  "checkpoint in {}: put one back from a backup, or begin a "
                  "new run in another folder",
                  path.string(), trace, (path / "checkpoints").string()),
      ExitCode::kCheckpoint};
}

// What a server is going to write can be written.
Result<void> check_files(const fs::path& path) {
  std::vector<fs::path> files;
  files.reserve(kFiles.size());
  for (const std::string_view name : kFiles) files.push_back(path / name);
  std::error_code ignored;  // what cannot be seen is not there
  for (fs::directory_iterator it(path, ignored), end; !ignored && it != end;
       it.increment(ignored))
    if (it->path().filename().string().starts_with("metric-"))
      files.push_back(it->path());
  for (const fs::path& file : files)
    if (auto plain = check_plain(file); !plain) return plain;
  const fs::path folders[] = {path, path / "samples", path / "checkpoints",
                              path / "peers", path / "tensorboard"};
  return check_writable(folders);
}

// A program that asks whether a run is in use (saved_status.h) holds the lock
// for a moment.
bool take(int lock) {
  for (int attempt = 0; attempt < 20; ++attempt) {
    if (::flock(lock, LOCK_EX | LOCK_NB) == 0) return true;
    ::usleep(5000);
  }
  return false;
}

}  // namespace

Result<RunDirectory> RunDirectory::create_numbered(const fs::path& parent,
                                                   const std::string& name) {
  if (auto folder = check_is_folder(parent); !folder) return folder.error();
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
  if (auto synced = sync_directory(parent); !synced) return synced.error();
  auto directory = open(path);
  if (directory) directory->is_new_ = true;
  return directory;
}

Result<RunDirectory> RunDirectory::open(const fs::path& path) {
  std::error_code ignored;  // what cannot be seen is not there
  const bool was_there = fs::exists(path, ignored);
  auto directory = open_folder(path);
  if (directory) directory->is_new_ = !was_there;
  return directory;
}

Result<RunDirectory> RunDirectory::open_folder(const fs::path& path) {
  if (auto folder = check_is_folder(path); !folder) return folder.error();
  if (auto made = make_directories(path); !made) return made.error();
  auto directory = lock(path);
  if (!directory) return directory;
  if (auto usable = check_files(path); !usable) return usable.error();
  const bool holds_run = directory->holds_run();
  auto fits = holds_run ? check_configuration(path) : check_not_lost(path);
  if (fits && !holds_run) fits = check_not_anothers(path);
  if (!fits) return fits.error();
  if (directory->holds_run()) return directory;
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
  auto opened = open_plain(file, O_RDWR | O_CREAT, ExitCode::kCheckpoint);
  if (!opened) return opened.error();
  FileDescriptor lock = std::move(*opened);
  if (!take(lock.get())) {
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
  FileDescriptor folder(
      ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder) return cannot("open this folder", path, errno_text());
  return RunDirectory(path, std::move(lock), std::move(folder));
}

Result<void> RunDirectory::make_folders() const {
  for (const fs::path& folder : {samples(), checkpoints(), peers()})
    if (auto made = make_directories(folder); !made) return made;
  return {};
}

Result<void> RunDirectory::check_in_place() const {
  struct stat own {};
  struct stat there {};
  if (::fstat(folder_.get(), &own) == 0 && ::stat(path_.c_str(), &there) == 0 &&
      own.st_dev == there.st_dev && own.st_ino == there.st_ino)
    return {};
  return Error{fmt::format("{} is not the folder that this run began in: that "
                           "was moved or removed; put it back, or else stop "
                           "the server and begin anew",
                           path_.string()),
               ExitCode::kCheckpoint};
}

void RunDirectory::remove_unless_begun() const {
  if (!is_new_ || holds_run() || !check_in_place()) return;
  std::error_code ignored;  // what cannot be removed is no run, either
  fs::remove_all(path_, ignored);
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
  return atomic_write(path_ / "config.ini",
                      std::string_view(marked_configuration(text)));
}

Result<void> check_output(const fs::path& file, const fs::path& run) {
  // What is not there yet stays relative otherwise.
  std::error_code failed;
  std::error_code lost;
  const fs::path out = fs::weakly_canonical(fs::absolute(file), failed);
  const fs::path folder = fs::weakly_canonical(fs::absolute(run), lost);
  const fs::path inside = out.lexically_relative(folder);
  if (failed || lost || inside.empty() || *inside.begin() == "..") return {};
  const std::string top = inside.begin()->string();
  const bool is_runs = std::ranges::find(kFiles, top) != kFiles.end() ||
                       top == "lock" || top.starts_with("metric-") ||
                       top == "checkpoints" || top == "peers" ||
                       top == "tensorboard";
  if (!is_runs) return {};
  return Error{
      fmt::format("{} is one of the run's own files: give another with "
                  "--out",
                  file.string()),
      ExitCode::kUsage};
}

}  // namespace mdgan
