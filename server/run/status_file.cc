#include "server/run/status_file.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <mutex>
#include <optional>
#include <utility>

#include "common/files/atomic_write.h"

namespace mdgan {

// Threads: any.
class StatusFile::Writer {
 public:
  explicit Writer(std::filesystem::path file) : file_(std::move(file)) {}

  // Takes the place of one that has not been written. Whether write_newest() is
  // to be called: true unless it is to be called already.
  bool put(RunStatus status) {
    const std::lock_guard lock(mutex_);
    const bool waits = newest_.has_value();
    newest_ = std::move(status);
    return !waits;
  }

  void write_newest() {
    // Before the newest is taken: an older one must not be written after it.
    const std::lock_guard writes(writing_);
    std::optional<RunStatus> status;
    {
      const std::lock_guard lock(mutex_);
      status = std::exchange(newest_, std::nullopt);
    }
    if (!status) return;
    const auto written = atomic_write_unsynced(file_, to_json(*status));
    if (!written && !failed_) spdlog::warn("{}", written.error().message);
    failed_ = !written;  // a disk that stays full is one warning
  }

 private:
  const std::filesystem::path file_;
  std::mutex mutex_;
  std::optional<RunStatus> newest_;  // guarded by mutex_
  std::mutex writing_;
  bool failed_ = false;  // guarded by writing_
};

StatusFile::StatusFile(const std::filesystem::path& file, std::uint64_t rounds,
                       Post post)
    : writer_(std::make_shared<Writer>(file)), post_(std::move(post)) {
  status_.pid = ::getpid();
  status_.view.rounds = rounds;
  write();
}

void StatusFile::set_run(const RunState& run) {
  status_.incarnation = run.incarnation;
  status_.run = run.run;
  status_.view.completed = run.position.completed;
  if (!run.generator.empty()) status_.checkpoint = run.position.completed;
  write();
}

void StatusFile::on_endpoint(const std::string& endpoint) {
  status_.endpoint = endpoint;
}

void StatusFile::on_state(ServerState state) {
  status_.state = state;
  write();
}

void StatusFile::on_view(const CoordinatorView& view, TimePoint now) {
  status_.view = view;
  status_.seen = now;
  if (now < due_) return;
  due_ = now + std::chrono::seconds(1);
  write();
}

void StatusFile::on_tick(const StatsRecord& record) {
  remaining_.add(record.seconds_per_round);
  status_.rounds_per_second = record.rounds_per_second;
}

void StatusFile::on_refused(const Refusal& refusal) {
  status_.refusals.add(refusal, std::chrono::system_clock::now());
}

void StatusFile::on_checkpoint(Round round, const Result<void>& saved) {
  if (saved)
    status_.checkpoint = round;
  else
    ++status_.checkpoints_failed;
}

void StatusFile::on_finished(const Finish& finish) {
  status_.finish = finish;
  status_.endpoint.clear();
  status_.state = ServerState::kFinished;
  put();
  writer_->write_newest();
}

void StatusFile::write() {
  if (put()) post_([writer = writer_] { writer->write_newest(); });
}

bool StatusFile::put() {
  if (!remaining_.empty()) {
    const std::uint64_t completed = status_.view.completed.value;
    const std::uint64_t rounds = status_.view.rounds;
    status_.seconds_left =
        remaining_.of(rounds > completed ? rounds - completed : 0);
  }
  status_.updated = std::chrono::system_clock::now();
  return writer_->put(status_);
}

}  // namespace mdgan
