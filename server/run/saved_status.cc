#include "server/run/saved_status.h"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <system_error>

#include "common/files/file_descriptor.h"
#include "common/files/json_file.h"
#include "common/files/read_file.h"
#include "protocol/training_spec.h"

namespace mdgan {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using namespace json_file;  // NOLINT: for its readers of fields

Error unreadable(const fs::path& file, std::string_view why) {
  return {fmt::format("{} {}", file.string(), why), ExitCode::kCheckpoint};
}

SavedPeer peer_of(const Json& json) {
  SavedPeer peer;
  peer.id = number(field(json, "id"));
  peer.name = text(field(json, "name"));
  peer.presence = value_of(kPresenceNames, text(field(json, "presence")))
                      .value_or(Presence::kAbsent);
  peer.shard = number(field(json, "shard"));
  peer.heard = optional_real(field(json, "heard"));
  peer.owes = optional_real(field(json, "owes"));
  peer.exchanging = truth(field(json, "exchanging"));
  peer.missed = number(field(json, "missed"));
  peer.answer_p50 = optional_real(field(json, "answer_p50"));
  peer.answer_p95 = optional_real(field(json, "answer_p95"));
  return peer;
}

// Of another version's bounds nothing is taken.
AnswerHistogram answers_of(const Json& json) {
  AnswerHistogram answers;
  const Json& counts = field(json, "counts");
  if (field(json, "le") != Json(AnswerHistogram::kBounds) ||
      !counts.is_array() || counts.size() != answers.counts.size())
    return answers;
  std::ranges::transform(counts, answers.counts.begin(),
                         [](const Json& count) { return number(count); });
  answers.sum = real(field(json, "sum"));
  return answers;
}

bool holds(std::int64_t pid, const struct stat& lock) {
  std::error_code error;  // another user's process shows nothing
  const fs::path folder = fmt::format("/proc/{}/fd", pid);
  for (fs::directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    struct stat open {};
    if (::stat(it->path().c_str(), &open) == 0 && open.st_dev == lock.st_dev &&
        open.st_ino == lock.st_ino)
      return true;
  }
  return false;
}

}  // namespace

Result<fs::path> find_run(const std::string& given, const fs::path& runs) {
  if (!given.empty()) return fs::path(given);
  std::error_code error;
  fs::path newest;
  fs::file_time_type written{};
  for (fs::directory_iterator it(runs, error), end; !error && it != end;
       it.increment(error)) {
    std::error_code ignored;  // no run, or one of an older version
    const auto time = fs::last_write_time(it->path() / "status.json", ignored);
    if (ignored || (!newest.empty() && time < written)) continue;
    newest = it->path();
    written = time;
  }
  if (newest.empty())
    return Error{fmt::format("which run? There is none in {}/: give its folder",
                             runs.string()),
                 ExitCode::kUsage};
  return newest;
}

Result<SavedStatus> read_status(const fs::path& run) {
  const fs::path file = run / "status.json";
  std::error_code ignored;
  if (!fs::exists(file, ignored))
    return unreadable(
        run,
        "has no status.json: it is no run's folder, or of a server that "
        "has not begun; give one like runs/00001-mnist-mlp");
  const auto bytes = read_file(file, ExitCode::kCheckpoint);
  if (!bytes) return bytes.error();
  const Json json = parsed<Json>(*bytes);
  if (!json.is_object())
    return unreadable(file,
                      "is damaged, as a power cut may leave it: log.txt beside "
                      "it says how the run went, and checkpoints/ has its "
                      "state");
  if (field(json, "schema") != 1)
    return unreadable(file, "is of another version of this program");
  const auto state = value_of(kServerStateNames, text(field(json, "state")));
  if (!state) return unreadable(file, "names a state that is unknown here");

  SavedStatus status;
  status.state = *state;
  status.pid = static_cast<std::int64_t>(number(field(json, "pid")));
  status.endpoint = text(field(json, "endpoint"));
  status.insecure = truth(field(json, "insecure"));
  status.round = number(field(json, "round"));
  status.rounds = number(field(json, "rounds"));
  status.rounds_per_second = optional_real(field(json, "rounds_per_second"));
  status.seconds_left = optional_real(field(json, "seconds_left"));
  if (field(json, "checkpoint").is_number_unsigned())
    status.checkpoint = number(field(json, "checkpoint"));
  status.checkpoints_failed = number(field(json, "checkpoints_failed"));
  status.live = number(field(json, "live"));
  status.needed = number(field(json, "needed"));
  status.answers = answers_of(field(json, "answers"));
  for (const Json& peer : field(json, "peers"))
    status.peers.push_back(peer_of(peer));
  status.waiting = text(field(json, "waiting"));
  if (const Json& exit = field(json, "exit"); exit.is_object())
    status.finish =
        Finish{static_cast<ExitCode>(number(field(exit, "code")) & 0xFFU),
               text(field(exit, "reason"))};
  status.updated = real(field(json, "updated"));
  status.json =
      json.dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace);
  return status;
}

RunUser user_of(const fs::path& run, std::int64_t pid) {
  const fs::path file = run / "lock";
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0)
    return errno == ENOENT ? RunUser::kNobody : RunUser::kUnknown;
  if (pid > 0 && holds(pid, status)) return RunUser::kPid;
  const FileDescriptor lock(
      ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!lock) return RunUser::kUnknown;
  if (::flock(lock.get(), LOCK_SH | LOCK_NB) == 0) return RunUser::kNobody;
  return errno == EWOULDBLOCK ? RunUser::kAnother : RunUser::kUnknown;
}

}  // namespace mdgan
