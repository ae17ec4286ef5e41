// status.json as it is read: by whoever shows a run or ends it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "server/core/coordinator_view.h"
#include "server/core/events.h"
#include "server/run/server_state.h"

namespace mdgan {

// Text of peers is any text: show it by presentable() only.
struct SavedPeer {
  std::uint64_t id = 0;
  std::string name;
  Presence presence = Presence::kAbsent;
  std::uint64_t shard = 0;
  std::optional<double> heard;  // seconds, when the file was written
  std::optional<double> owes;   // likewise
  bool exchanging = false;
  std::uint64_t missed = 0;
  std::optional<double> answer_p50;  // seconds
  std::optional<double> answer_p95;
};

// The fields of run_status.h; ages are seconds before `updated`.
struct SavedStatus {
  std::int64_t pid = 0;
  std::string endpoint;
  bool insecure = false;
  ServerState state = ServerState::kStarting;
  std::uint64_t round = 0;
  std::uint64_t rounds = 0;
  std::optional<double> rounds_per_second;
  std::optional<double> seconds_left;
  std::optional<std::uint64_t> checkpoint;
  std::uint64_t checkpoints_failed = 0;
  std::uint64_t live = 0;
  std::uint64_t needed = 0;
  AnswerHistogram answers;
  std::vector<SavedPeer> peers;
  std::string waiting;
  std::optional<Finish> finish;
  double updated = 0;  // seconds since 1970 (UTC)
  std::string json;    // the whole file on one line, in ASCII
};

// The folder that a person means: `given`, or where that is empty the one of
// `runs`/* whose status.json was written last. Fails with kUsage when there is
// none.
Result<std::filesystem::path> find_run(const std::string& given,
                                       const std::filesystem::path& runs);

// Fails with kCheckpoint when the folder has no status.json, or one that cannot
// be read or is not of schema 1, saying which.
Result<SavedStatus> read_status(const std::filesystem::path& run);

// Which process uses the run's folder now.
enum class RunUser {
  kPid,      // the process `pid` of this machine
  kAnother,  // some process: of another container or user
  kNobody,   // none on this machine
  kUnknown,  // the file system does not say
};
RunUser user_of(const std::filesystem::path& run, std::int64_t pid);

}  // namespace mdgan
