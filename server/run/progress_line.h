// What a person sees of a run: at every tick a line of how far, how fast and
// how well, and what happens between.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/base/time.h"
#include "server/run/refusals.h"
#include "server/run/remaining_time.h"
#include "server/run/run_log.h"
#include "server/run/run_observer.h"

namespace mdgan {

// "round 1200/10000  45.1 rounds/s  3:15 left  D 1.312  G 0.904  4 peers
// sent 9.4 MiB  received 4.7 MiB"; the bytes are totals. With an evaluation
// also "FID 88.10  score 8.62 at 1000".
std::string progress_text(const StatsRecord& record, std::uint64_t rounds,
                          double seconds_left, std::uint64_t total_sent,
                          std::uint64_t total_received);

class ProgressLine final : public RunObserver {
 public:
  // `rounds`: the run's last round. With `evaluates` that round is measured,
  // and the line of it waits for the result. With `insecure` each line says so.
  ProgressLine(RunLog& log, std::uint64_t rounds, bool evaluates,
               bool insecure = false)
      : log_(log),
        rounds_(rounds),
        evaluates_(evaluates),
        insecure_(insecure) {}

  // Shows the newest evaluation until there is another.
  void on_tick(const StatsRecord& record) override;
  // Says what the run waits for after 5 s without progress, then after twice
  // that, and so on, up to every 5 minutes.
  void on_view(const CoordinatorView& view, TimePoint now) override;
  // Says each refusal once, and at most 20 in a minute.
  void on_refused(const Refusal& refusal) override;
  void on_note(const Note& note, Round completed) override;
  void on_evaluation(const EvaluationRecord& record) override;
  void on_checkpoint(Round round, const Result<void>& saved) override;
  void on_finished(const Finish& finish) override;

 private:
  // What changes with every step of the run.
  struct Progress {
    RunStage stage = RunStage::kFinished;
    Round completed;
    std::uint32_t live = 0;
    friend bool operator==(const Progress&, const Progress&) = default;
  };

  void show(StatsRecord record);
  void show_held();

  RunLog& log_;
  std::uint64_t rounds_;
  bool evaluates_;
  bool insecure_;
  RemainingTime remaining_;
  std::uint64_t total_sent_ = 0;
  std::uint64_t total_received_ = 0;
  std::optional<EvaluationRecord> evaluation_;  // the newest
  std::optional<StatsRecord> held_;             // of the last round
  bool unsaved_ = false;  // the newest checkpoint could not be written

  Progress progress_;        // as the last view had it
  TimePoint waits_since_{};  // when that began
  Duration wait_{};          // after which the next line is due
  Refusals refusals_;
  std::uint32_t refusals_said_ = 0;    // within the minute
  std::uint64_t refusals_unsaid_ = 0;  // likewise
  TimePoint next_minute_{};
};

}  // namespace mdgan
