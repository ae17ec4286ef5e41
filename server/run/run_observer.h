// What a run tells those who show or keep it: the terminal (progress_line.h),
// stats.jsonl (stats_writer.h), events.jsonl (events_file.h), status.json
// (status_file.h) and TensorBoard (tensorboard_file.h).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/base/time.h"
#include "server/core/coordinator_view.h"
#include "server/core/events.h"
#include "server/evaluate/evaluation_record.h"
#include "server/run/refusals.h"
#include "server/run/server_state.h"
#include "server/run/stats_record.h"

namespace mdgan {

// Threads: the server's loop, but for before_checkpoint(). The loop waits for
// the observer: what may take long (a slow disk) belongs on another thread. An
// observer must not throw.
class RunObserver {
 public:
  virtual ~RunObserver() = default;

  // Where peers connect to; empty when only local peers can.
  virtual void on_endpoint(const std::string& /*endpoint*/) {}
  // The state has changed.
  virtual void on_state(ServerState /*state*/) {}
  // The round and the peers as they are `now`: once a second, before each
  // on_state(), and when the loop ends.
  virtual void on_view(const CoordinatorView& /*view*/, TimePoint /*now*/) {}
  // The rounds since the last tick.
  virtual void on_tick(const StatsRecord& /*record*/) {}
  // What a person may want to know, after so many rounds.
  virtual void on_note(const Note& /*note*/, Round /*completed*/) {}
  // A hello was refused; the same one may be refused again and again.
  virtual void on_refused(const Refusal& /*refusal*/) {}
  // A generator has been measured, maybe after later rounds and the last tick.
  virtual void on_evaluation(const EvaluationRecord& /*record*/) {}
  // Samples of the generator after `round` are in `file`, a PNG.
  virtual void on_pictures(Round /*round*/,
                           const std::filesystem::path& /*file*/) {}
  // A checkpoint is about to be written: waits until what was told is in
  // stats.jsonl and events.jsonl, with which a resumed run goes on, unless they
  // hang. Threads: any, while the loop tells
  // of other things.
  virtual void before_checkpoint() {}
  // The state of `round` is on the disk, or why it is not.
  virtual void on_checkpoint(Round /*round*/, const Result<void>& /*saved*/) {}
  // The run is over, or could not begin; nothing comes after this.
  virtual void on_finished(const Finish& /*finish*/) {}
};

// Tells several observers, each event in the order in which they were added.
class RunObservers final : public RunObserver {
 public:
  // `observer` must live as long as it may be told something.
  void add(RunObserver& observer) { observers_.push_back(&observer); }

  void on_endpoint(const std::string& endpoint) override {
    for (RunObserver* o : observers_) o->on_endpoint(endpoint);
  }
  void on_state(ServerState state) override {
    for (RunObserver* o : observers_) o->on_state(state);
  }
  void on_view(const CoordinatorView& view, TimePoint now) override {
    for (RunObserver* o : observers_) o->on_view(view, now);
  }
  void on_tick(const StatsRecord& record) override {
    for (RunObserver* o : observers_) o->on_tick(record);
  }
  void on_note(const Note& note, Round completed) override {
    for (RunObserver* o : observers_) o->on_note(note, completed);
  }
  void on_refused(const Refusal& refusal) override {
    for (RunObserver* o : observers_) o->on_refused(refusal);
  }
  void on_evaluation(const EvaluationRecord& record) override {
    for (RunObserver* o : observers_) o->on_evaluation(record);
  }
  void on_pictures(Round round, const std::filesystem::path& file) override {
    for (RunObserver* o : observers_) o->on_pictures(round, file);
  }
  void before_checkpoint() override {
    for (RunObserver* o : observers_) o->before_checkpoint();
  }
  void on_checkpoint(Round round, const Result<void>& saved) override {
    for (RunObserver* o : observers_) o->on_checkpoint(round, saved);
  }
  void on_finished(const Finish& finish) override {
    for (RunObserver* o : observers_) o->on_finished(finish);
  }

 private:
  std::vector<RunObserver*> observers_;
};

}  // namespace mdgan
