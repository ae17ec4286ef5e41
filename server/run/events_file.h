// events.jsonl: a line for each thing that happened in a run; its fields are in
// server/run/README.md.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "common/base/permits.h"
#include "common/base/result.h"
#include "common/files/line_writer.h"
#include "common/files/write_queue.h"
#include "server/run/run_observer.h"

namespace mdgan {

// Threads: of a RunObserver. The file is written by a WriteQueue, but for the
// end; what cannot be written is a warning in the log.
class EventsFile final : public RunObserver {
 public:
  // Goes on with the file. Fails with kCheckpoint.
  static Result<EventsFile> open(const std::filesystem::path& file,
                                 WriteQueue::Post post);

  void on_view(const CoordinatorView& view, TimePoint now) override;
  // What has no kind is a line if it is a warning.
  void on_note(const Note& note, Round completed) override;
  void on_checkpoint(Round round, const Result<void>& saved) override;
  void before_checkpoint() override { queue_.finish(kDiskPatience); }
  // Writes in the calling thread, so that the file is whole when this returns.
  void on_finished(const Finish& finish) override;

 private:
  EventsFile(LineWriter file, WriteQueue::Post post);
  void append(std::string line);

  Round completed_;                   // as the last view had it
  std::shared_ptr<LineWriter> file_;  // with the writes that wait
  WriteQueue queue_;
};

}  // namespace mdgan
