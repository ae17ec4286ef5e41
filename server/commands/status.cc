#include "server/commands/status.h"

#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <thread>

#include "common/base/terminal.h"
#include "common/base/time.h"
#include "common/base/words.h"
#include "common/files/file_descriptor.h"
#include "protocol/clean_text.h"
#include "server/run/status_text.h"

namespace mdgan {
namespace {

using namespace std::chrono_literals;

constexpr Duration kSayEvery = 10s;

double now_1970() {
  return std::chrono::duration<double>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

Error unreachable(std::string message) {
  return {std::move(message), ExitCode::kUnreachable};
}

std::string json_text(const SavedStatus& status, RunUser user) {
  // Another machine may have it, if the file is fresh.
  const bool is_unknown =
      user == RunUser::kUnknown ||
      (user == RunUser::kNobody && !is_over(status, user, now_1970()));
  const char* const server = is_unknown                 ? "\"unknown\""
                             : user == RunUser::kNobody ? "\"gone\""
                                                        : "\"running\"";
  // The file's own object, with one field more.
  return status.json.substr(0, status.json.size() - 1) +
         ",\"server\":" + server + "}\n";
}

// On a terminal the picture is drawn anew every second; elsewhere each sentence
// that differs from the one before is a line.
Result<void> watch(const std::filesystem::path& run) {
  const bool redraws = isatty(STDOUT_FILENO) != 0;
  std::string last;
  for (;; std::this_thread::sleep_for(1s)) {
    const auto status = read_status(run);
    if (!status) return status.error();
    const RunUser user = user_of(run, status->pid);
    std::string text =
        redraws ? "\x1b[H\x1b[2J" + status_text(*status, user, run, now_1970())
                : status_sentence(*status, user, run, now_1970()) + "\n";
    if (text != last)
      if (auto written = write_stdout(text); !written) return written;
    last = std::move(text);
    if (is_over(*status, user, now_1970())) return {};
  }
}

// The run once its server is gone; says now and then what that waits for.
Result<SavedStatus> await_end(const std::filesystem::path& run,
                              std::int64_t pid) {
  TimePoint due = Clock::now() + kSayEvery;
  while (user_of(run, pid) == RunUser::kPid) {
    std::this_thread::sleep_for(50ms);
    if (Clock::now() < due) continue;
    due = Clock::now() + kSayEvery;
    if (const auto status = read_status(run))
      spdlog::info("process {} saves and ends: {}", pid,
                   status_sentence(*status, RunUser::kPid, run, now_1970()));
  }
  return read_status(run);
}

}  // namespace

Result<void> show_status(const StatusOptions& options) {
  const auto run = find_run(options.run, "runs");
  if (!run) return run.error();
  if (options.watch) return watch(*run);
  const auto status = read_status(*run);
  if (!status) return status.error();
  const RunUser user = user_of(*run, status->pid);
  return write_stdout(options.json
                          ? json_text(*status, user)
                          : status_text(*status, user, *run, now_1970()));
}

namespace {

// How a run that is over has ended: an error where its server ended with one.
Result<std::string> outcome(const SavedStatus& status,
                            const std::string& text) {
  const ExitCode code = status.finish ? status.finish->code : ExitCode::kOk;
  if (code != ExitCode::kOk && code != ExitCode::kStopped)
    return Error{text, code};
  return text + "\n";
}

}  // namespace

Result<std::string> stop_run(const StopOptions& options) {
  const std::filesystem::path run = options.run;
  auto status = read_status(run);
  if (!status) return status.error();
  const RunUser user = user_of(run, status->pid);
  // It may have ended since, and has said how.
  if (user != RunUser::kPid) status = read_status(run);
  if (!status) return status.error();
  const std::string now = status_sentence(*status, user, run, now_1970());
  if (user != RunUser::kPid) {
    if (status->state == ServerState::kFinished && user != RunUser::kAnother)
      return outcome(*status, "nothing to stop: " + now);
    if (user == RunUser::kNobody)
      return unreachable("nothing to stop here: " + now);
    return unreachable(fmt::format(
        "process {} is not to be signalled from here: stop the run where it "
        "was started, as the same user and in the same container; {}",
        status->pid, now));
  }
  // A second signal would end a server that stops at once, unsaved.
  if (status->state != ServerState::kStopping &&
      status->state != ServerState::kFinished &&
      ::kill(static_cast<pid_t>(status->pid), SIGTERM) != 0 && errno != ESRCH)
    return unreachable(
        fmt::format("cannot signal process {}: {}", status->pid, errno_text()));
  const auto end = await_end(run, status->pid);
  if (!end) return end.error();
  if (end->state != ServerState::kFinished || !end->finish)
    return unreachable(
        "the server did not end well: " +
        status_sentence(*end, RunUser::kNobody, run, now_1970()));
  return outcome(*end,
                 status_sentence(*end, RunUser::kNobody, run, now_1970()));
}

}  // namespace mdgan
