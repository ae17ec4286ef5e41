// What a person sees of a run: on a terminal one line that is rewritten at
// every tick, with log lines appearing above it; elsewhere plain log lines.
// log.txt has every line of both.
#pragma once

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "common/base/result.h"
#include "server/run/stats_record.h"

namespace mdgan {

// Guesses how long the rest of a run takes, from a moving average: rounds of
// the last few ticks count, not the slow first ones.
class RemainingTime {
 public:
  void add(double seconds_per_round);
  // In seconds, for so many rounds to come.
  double of(std::uint64_t rounds) const {
    return average_ * static_cast<double>(rounds);
  }

 private:
  double average_ = 0;
  bool empty_ = true;
};

// "round 1200/10000  45.1 rounds/s  3:15 left  D 1.312  G 0.904  4 peers
// sent 9.4 MiB  received 4.7 MiB"; the bytes are totals. With an evaluation
// also "FID 88.10  score 8.62 at 1000".
std::string progress_text(const StatsRecord& record, std::uint64_t rounds,
                          double seconds_left, std::uint64_t total_sent,
                          std::uint64_t total_received);

// Makes the process's log (spdlog's default logger) write to a file and to the
// terminal, with time and level. Threads: any may log; tick() and the
// destructor belong to one. The destructor ends the progress line and gives the
// log back to stderr alone.
class ProgressLine {
 public:
  struct Options {
    std::filesystem::path log_file;  // appended to
    std::uint64_t rounds = 0;        // the run's last round
    bool quiet = false;              // terminal: warnings and errors only
    std::FILE* terminal = stderr;    // not owned
    bool rewrite = false;            // whether that is a terminal
  };

  // Fails with kCheckpoint when the log file cannot be written.
  static Result<std::unique_ptr<ProgressLine>> open(const Options& options);
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  // Shows the newest evaluation until there is another.
  void tick(const StatsRecord& record);

 private:
  struct Sinks;
  ProgressLine(const Options& options, std::unique_ptr<Sinks> sinks);

  Options options_;
  std::unique_ptr<Sinks> sinks_;
  RemainingTime remaining_;
  std::uint64_t total_sent_ = 0;
  std::uint64_t total_received_ = 0;
  std::optional<EvaluationRecord> evaluation_;
};

}  // namespace mdgan
