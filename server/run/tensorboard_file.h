// A run's scalars and pictures for TensorBoard: `tensorboard --logdir RUN`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "common/base/result.h"
#include "common/files/write_queue.h"
#include "server/run/run_observer.h"

namespace mdgan {

// Each start of a server writes a file of its own, whose first event makes void
// what earlier files have of later rounds, so that no curve runs backwards.
//
// Threads: of a RunObserver. The file is written, and pictures are read, by a
// WriteQueue, but for the end; what cannot be written is a warning in the log.
class TensorboardFile final : public RunObserver {
 public:
  // A new file in `folder`, which is made; `completed` is the round that the
  // run goes on from. Fails with kCheckpoint.
  static Result<TensorboardFile> open(const std::filesystem::path& folder,
                                      Round completed,
                                      std::uint32_t incarnation,
                                      WriteQueue::Post post);

  void on_tick(const StatsRecord& record) override;
  void on_evaluation(const EvaluationRecord& record) override;
  void on_pictures(Round round, const std::filesystem::path& file) override;
  // Writes in the calling thread, so that the file is whole when this returns.
  void on_finished(const Finish& finish) override;

 private:
  class Records;
  using Event = std::function<std::string()>;  // its bytes; empty: none
  TensorboardFile(const std::filesystem::path& path,
                  std::shared_ptr<Records> records, WriteQueue::Post post)
      : records_(std::move(records)), queue_(path.string(), std::move(post)) {}
  void put(Event event);

  std::shared_ptr<Records> records_;  // with the writes that wait
  WriteQueue queue_;
};

}  // namespace mdgan
