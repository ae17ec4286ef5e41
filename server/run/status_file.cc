#include "server/run/status_file.h"

#include <unistd.h>

#include <utility>

#include "common/files/read_file.h"

namespace mdgan {

StatusFile::StatusFile(const std::filesystem::path& file, std::uint64_t rounds,
                       Post post)
    : file_(file, std::move(post)) {
  if (const auto there = read_file(file, ExitCode::kCheckpoint))
    earlier_.assign(reinterpret_cast<const char*>(there->data()),
                    there->size());
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

void StatusFile::restore() {
  if (!earlier_.empty()) file_.write_now([text = earlier_] { return text; });
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
  file_.write_now(text());
}

void StatusFile::write() { file_.write(text()); }

NewestFile::Text StatusFile::text() {
  if (!remaining_.empty()) {
    const std::uint64_t completed = status_.view.completed.value;
    const std::uint64_t rounds = status_.view.rounds;
    status_.seconds_left =
        remaining_.of(rounds > completed ? rounds - completed : 0);
  }
  status_.updated = std::chrono::system_clock::now();
  return [status = status_] { return to_json(status); };
}

}  // namespace mdgan
