// status.json (server/run/run_status.h): how the run stands, for programs that
// start, watch or show it.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>

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
  // Runs a task on another thread, after the tasks before it, or never. At most
  // one is under way and one waits: a slow disk makes the file old.
  using Post = std::function<void(std::function<void()> task)>;

  // Writes that the server is starting, in place of what an earlier one left.
  // `rounds`: the run's last round.
  StatusFile(const std::filesystem::path& file, std::uint64_t rounds,
             Post post);

  // Which run it is, and where it begins.
  void set_run(const RunState& run);
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
  class Writer;

  void write();
  // Whether write_newest() is to be called.
  bool put();

  RunStatus status_;
  RemainingTime remaining_;
  TimePoint due_{};                 // when a view is written next
  std::shared_ptr<Writer> writer_;  // with the tasks that are posted
  Post post_;
};

}  // namespace mdgan
