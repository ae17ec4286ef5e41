// status.json (server/run/run_status.h): how the run stands, for programs that
// start, watch or show it.
#pragma once

#include <filesystem>
#include <string>

#include "common/files/newest_file.h"
#include "server/run/remaining_time.h"
#include "server/run/run_observer.h"
#include "server/run/run_state.h"
#include "server/run/run_status.h"

namespace mdgan {

// Writes the file anew once a second and at every change of state. A reader
// sees a whole one, old or new; after a power cut it may be an old one, or
// empty: it is not synced.
//
// Threads: of a RunObserver. The file is written by whoever runs what is given
// to `post`, but for the last time.
class StatusFile final : public RunObserver {
 public:
  using Post = NewestFile::Post;

  // Writes that the server is starting, in place of what an earlier one left,
  // which it keeps.
  // `rounds`: the run's last round.
  StatusFile(const std::filesystem::path& file, std::uint64_t rounds,
             Post post);

  // Which run it is, and where it begins.
  void set_run(const RunState& run);
  // Puts back what an earlier server left, if there was one: this start was
  // refused, and has changed nothing. Nothing may be told any more.
  void restore();
  // Everybody who reaches the endpoint is let in, though others can reach it.
  void set_insecure() { status_.insecure = true; }

  void on_endpoint(const std::string& endpoint) override;
  void on_state(ServerState state) override;
  void on_view(const CoordinatorView& view, TimePoint now) override;
  void on_tick(const StatsRecord& record) override;
  void on_refused(const Refusal& refusal) override;
  void on_checkpoint(Round round, const Result<void>& saved) override;
  // Writes in the calling thread, so that the file says so when this returns.
  void on_finished(const Finish& finish) override;

 private:
  void write();
  NewestFile::Text text();  // of now, to be made on the writing thread

  std::string earlier_;  // what the file held; empty: there was none
  RunStatus status_;
  RemainingTime remaining_;
  TimePoint due_{};  // when a view is written next
  NewestFile file_;
};

}  // namespace mdgan
