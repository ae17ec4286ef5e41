#include "peer/show_status.h"

#include <signal.h>
#include <spdlog/fmt/fmt.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <system_error>

#include "peer/io/peer_status.h"

namespace mdgan {
namespace {

namespace fs = std::filesystem;

// The folder whose status.json was written last; empty: none has one.
fs::path newest_in(const fs::path& state) {
  std::error_code error;
  fs::path newest;
  fs::file_time_type written{};
  for (fs::directory_iterator it(state, error), end; !error && it != end;
       it.increment(error)) {
    std::error_code ignored;  // no peer, or one of an older version
    const auto time = fs::last_write_time(it->path() / "status.json", ignored);
    if (ignored || (!newest.empty() && time < written)) continue;
    newest = it->path();
    written = time;
  }
  return newest;
}

// Whether there is such a process; another user's, too.
bool runs(std::int64_t pid) {
  return pid > 0 && (::kill(static_cast<pid_t>(pid), 0) == 0 || errno == EPERM);
}

}  // namespace

Result<std::string> show_status(const PeerStatusOptions& options) {
  const fs::path state = options.state_dir;
  const fs::path folder =
      options.name.empty() ? newest_in(state) : state / options.name;
  std::error_code ignored;
  if (folder.empty() || !fs::exists(folder / "status.json", ignored))
    return Error{
        fmt::format("no peer {}has left a status in {}: give its name, and the "
                    "--state-dir that it was started with",
                    options.name.empty() ? "" : options.name + " ",
                    state.string()),
        ExitCode::kUsage};
  const auto status = read_peer_status(folder / "status.json");
  if (!status) return status.error();
  if (options.json) return to_json(*status, -1);
  const double now = std::chrono::duration<double>(
                         std::chrono::system_clock::now().time_since_epoch())
                         .count();
  return peer_status_text(*status, runs(status->pid), now);
}

}  // namespace mdgan
