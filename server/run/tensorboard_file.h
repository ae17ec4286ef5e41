// A run's scalars and pictures for TensorBoard: `tensorboard --logdir RUN`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "common/base/result.h"
#include "server/run/run_observer.h"

namespace mdgan {

// Each start of a server writes a file of its own, whose first event makes void
// what earlier files have of later rounds, so that no curve runs backwards.
//
// Threads: of a RunObserver. The file is written, and pictures are read, by
// whoever runs what is given to `post`, but for the end. A disk that hangs
// makes the file late, and loses what is beyond 1,000 events; what cannot be
// written is a warning in the log.
class TensorboardFile final : public RunObserver {
 public:
  // Runs a task on another thread, after the tasks before it, or never.
  using Post = std::function<void(std::function<void()> task)>;

  // A new file in `folder`, which is made; `completed` is the round that the
  // run goes on from. Fails with kCheckpoint.
  static Result<TensorboardFile> open(const std::filesystem::path& folder,
                                      Round completed,
                                      std::uint32_t incarnation, Post post);

  void on_tick(const StatsRecord& record) override;
  void on_evaluation(const EvaluationRecord& record) override;
  void on_pictures(Round round, const std::filesystem::path& file) override;
  // Writes in the calling thread, so that the file is whole when this returns.
  void on_finished(const Finish& finish) override;

 private:
  class Writer;
  using Event = std::function<std::string()>;  // its bytes; empty: none
  TensorboardFile(std::shared_ptr<Writer> writer, Post post)
      : writer_(std::move(writer)), post_(std::move(post)) {}
  void put(Event event);

  std::shared_ptr<Writer> writer_;  // with the tasks that are posted
  Post post_;
};

}  // namespace mdgan
