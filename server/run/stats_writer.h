// stats.jsonl: a line for each tick.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "common/base/permits.h"
#include "common/base/result.h"
#include "common/files/line_writer.h"
#include "common/files/write_queue.h"
#include "server/run/run_observer.h"

namespace mdgan {

// An evaluation is in the line of the next tick. That of the last round comes
// after the last tick, whose line is then written anew.
//
// Threads: of a RunObserver. The file is written by a WriteQueue, but for the
// end; what cannot be written is a warning in the log.
class StatsWriter final : public RunObserver {
 public:
  // `rounds`: the run's last round. Fails with kCheckpoint.
  static Result<StatsWriter> open(std::filesystem::path file,
                                  std::uint64_t rounds, WriteQueue::Post post);

  void on_tick(const StatsRecord& record) override;
  void on_evaluation(const EvaluationRecord& record) override;
  void before_checkpoint() override { queue_.finish(kDiskPatience); }
  // Writes in the calling thread, so that the file is whole when this returns.
  void on_finished(const Finish& /*finish*/) override { queue_.finish(); }

 private:
  StatsWriter(std::filesystem::path path, std::uint64_t rounds, LineWriter file,
              WriteQueue::Post post);
  // With the evaluation that has come since the last one.
  std::string next_line(StatsRecord record);

  std::filesystem::path path_;
  std::uint64_t rounds_;
  std::shared_ptr<LineWriter> file_;  // with the writes that wait
  WriteQueue queue_;
  std::optional<EvaluationRecord> evaluation_;  // for the next line
  std::optional<StatsRecord> last_;             // the last round's, once told
};

}  // namespace mdgan
