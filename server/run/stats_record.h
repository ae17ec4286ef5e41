// One line of a run's stats.jsonl: what happened since the line before.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "server/evaluate/evaluation_record.h"

namespace mdgan {

// Where a round's time goes, in seconds a round.
struct PhaseSeconds {
  double generate = 0;  // the generator's forward pass
  double send = 0;      // handing the batches to the connections
  double wait = 0;      // for the peers' feedback
  double merge = 0;     // adding the feedback up
  double step = 0;      // the generator's backward pass and Adam
};

// Means are over the rounds of the tick; bytes are of those rounds together.
struct StatsRecord {
  std::uint64_t round = 0;  // the last one of the tick
  double d_loss = 0;        // mean over peers and rounds
  double g_loss = 0;
  double feedback_norm = 0;  // of the merged feedback
  double seconds_per_round = 0;
  PhaseSeconds seconds;
  double rounds_per_second = 0;
  std::uint64_t bytes_sent = 0;        // by the server, without swaps
  std::uint64_t bytes_sent_apart = 0;  // had every peer its own connection
  std::uint64_t bytes_received = 0;
  std::uint64_t bytes_swapped = 0;  // tensors that peers sent each other
  std::uint32_t peers = 0;          // live ones, at the end of the tick
  // Checkpoints that could not be written, since this server started.
  std::uint64_t checkpoints_failed = 0;
  // Answers that were invalid or too long, since this server started.
  std::uint64_t answers_refused = 0;
  // In this tick: how many answers the aggregation rule clipped or left out,
  // and how many batches had too few answers for the rule and were merged by
  // clip.
  std::uint64_t answers_not_whole = 0;
  std::uint64_t aggregate_fallbacks = 0;
  std::optional<EvaluationRecord> evaluation;  // the newest since the last line
};

// A JSON object without a line end; a value that is not finite becomes null.
// server/run/README.md has its fields and says when their schema's number
// changes.
std::string to_json(const StatsRecord& record);

}  // namespace mdgan
