// What status.json says: how a server's run stands. Schema 1; a reader ignores
// fields that it does not know, and a field that changes its meaning makes it
// schema 2.
//
//   schema             1
//   pid                the server's process: if that is gone and the state is
//                      not "finished", it was killed
//   incarnation        the server's starts of this run, counting from 1
//   run                the run's id, 32 hexadecimal digits
//   endpoint           where peers connect to, with the real port; null when
//                      it does not listen (yet)
//   insecure           whether the server lets in everybody who reaches the
//                      endpoint, from other machines too (--insecure)
//   state              starting, listening, waiting (for min-peers), training,
//                      paused (below the quorum), stopping, finished
//   round              the last one that is complete
//   rounds             the run's last one
//   rounds_per_second  of the last tick; null before the first
//   seconds_left       a guess from the last ticks; null before the first
//   checkpoint         the round of the last one that this server saved or
//                      went on from; null: none
//   checkpoints_failed that this server could not write
//   live               peers that take part
//   needed             peers without which no round begins
//   answers            how long all peers' answers to this server took: how
//                      many in each class ("counts") up to so many seconds
//                      ("le"; the last class has the rest), and their "sum"
//   peers              an object for each, by id; absent ones too:
//     id, name         the name is what the peer says: any text
//     presence         absent, copying (a discriminator, to take part), live
//     shard            its images
//     endpoint         where other peers reach it; "" before its hello
//     heard            seconds since its last message; null: none yet
//     owes             seconds since it was asked what it has not answered;
//                      null: it owes nothing
//     exchanging       whether it sends or receives a discriminator
//     missed           rounds that went on without its answer
//     answer_p50       seconds within which half of its newest answers came ...
//     answer_p95       ... and 95 % of them; null: none yet
//   refused            the last 16 peers that differ and were refused:
//     name, address    what the peer says, and where it is seen
//     reason           why
//     times, last      how often, and the last time, seconds since 1970 (UTC)
//   waiting            what the run waits for, in words; null: for no peer
//   exit               null, or of a finished server {"code", "reason"}
//   updated            when this was written, seconds since 1970 (UTC)
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "common/base/ids.h"
#include "common/base/time.h"
#include "server/core/coordinator_view.h"
#include "server/core/events.h"
#include "server/run/refusals.h"
#include "server/run/server_state.h"

namespace mdgan {

struct RunStatus {
  std::int64_t pid = 0;
  std::uint32_t incarnation = 0;  // 0: not known yet; null in the file
  RunId run{};                    // likewise
  std::string endpoint;
  bool insecure = false;
  ServerState state = ServerState::kStarting;
  CoordinatorView view;
  TimePoint seen{};  // when the view was taken
  std::optional<double> rounds_per_second;
  std::optional<double> seconds_left;
  std::optional<Round> checkpoint;
  std::uint64_t checkpoints_failed = 0;
  Refusals refusals;
  std::optional<Finish> finish;
  std::chrono::system_clock::time_point updated{};
};

// The file's text. What is not UTF-8 in names becomes U+FFFD.
std::string to_json(const RunStatus& status);

}  // namespace mdgan
