// stats.jsonl: a line for each tick.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "common/base/result.h"
#include "common/files/jsonl.h"
#include "server/run/run_observer.h"

namespace mdgan {

// An evaluation is in the line of the next tick. That of the last round comes
// after the last tick, whose line is then written anew. What cannot be written
// is a warning in the log, and training goes on.
class StatsWriter final : public RunObserver {
 public:
  // `rounds`: the run's last round. Fails with kCheckpoint.
  static Result<StatsWriter> open(std::filesystem::path file,
                                  std::uint64_t rounds);

  void on_tick(const StatsRecord& record) override;
  void on_evaluation(const EvaluationRecord& record) override;

 private:
  StatsWriter(std::filesystem::path file, std::uint64_t rounds,
              JsonlWriter writer)
      : file_(std::move(file)), rounds_(rounds), writer_(std::move(writer)) {}
  void append(StatsRecord record);

  std::filesystem::path file_;
  std::uint64_t rounds_;
  JsonlWriter writer_;
  std::optional<EvaluationRecord> evaluation_;  // for the next line
  std::optional<StatsRecord> last_;  // the last round's, once written
  bool failed_ = false;
};

}  // namespace mdgan
