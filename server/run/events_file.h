// events.jsonl: a line for each thing that happened in a run; its fields are in
// server/run/README.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>

#include "common/base/result.h"
#include "server/run/run_observer.h"

namespace mdgan {

// Threads: of a RunObserver. The file is written by whoever runs what is given
// to `post`, but for the end. A disk that hangs makes the file late, and loses
// what is beyond 1,000 lines; what cannot be written is a warning in the log.
class EventsFile final : public RunObserver {
 public:
  // Runs a task on another thread, after the tasks before it, or never.
  using Post = std::function<void(std::function<void()> task)>;

  // Goes on with the file. Fails with kCheckpoint.
  static Result<EventsFile> open(const std::filesystem::path& file, Post post);

  void on_view(const CoordinatorView& view, TimePoint now) override;
  // What has no kind is a line if it is a warning.
  void on_note(const Note& note, Round completed) override;
  void on_checkpoint(Round round, const Result<void>& saved) override;
  // Writes in the calling thread, so that the file is whole when this returns.
  void on_finished(const Finish& finish) override;

 private:
  class Writer;
  EventsFile(std::shared_ptr<Writer> writer, Post post)
      : writer_(std::move(writer)), post_(std::move(post)) {}
  void append(std::string line);

  Round completed_;                 // as the last view had it
  std::shared_ptr<Writer> writer_;  // with the tasks that are posted
  Post post_;
};

}  // namespace mdgan
