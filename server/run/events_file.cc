#include "server/run/events_file.h"

#include <spdlog/spdlog.h>

#include <chrono>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "common/files/jsonl.h"

namespace mdgan {
namespace {

constexpr std::size_t kMostWaiting = 1000;
// More are no picture, and would make the file long.
constexpr std::size_t kMostEdges = 64;

double now_1970() {
  return std::chrono::duration<double>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

nlohmann::ordered_json event_of(std::string_view event, Round round) {
  return {{"time", now_1970()}, {"round", round.value}, {"event", event}};
}

std::string line_of(const nlohmann::ordered_json& json) {
  return json.dump(-1, ' ', /*ensure_ascii=*/false,
                   nlohmann::json::error_handler_t::replace);
}

}  // namespace

// Threads: any.
class EventsFile::Writer {
 public:
  explicit Writer(JsonlWriter file) : file_(std::move(file)) {}

  // Whether write_waiting() is to be called: true unless it is to be already.
  bool put(std::string line) {
    const std::lock_guard lock(mutex_);
    if (waiting_.size() < kMostWaiting) waiting_.push_back(std::move(line));
    return waiting_.size() == 1;
  }

  void write_waiting() {
    const std::lock_guard writes(writing_);
    std::vector<std::string> lines;
    {
      const std::lock_guard lock(mutex_);
      lines = std::exchange(waiting_, {});
    }
    for (const std::string& line : lines) {
      const auto written = file_.append(line);
      if (!written && !failed_) spdlog::warn("{}", written.error().message);
      failed_ = !written;  // a disk that stays full is one warning
    }
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> waiting_;  // guarded by mutex_
  std::mutex writing_;
  JsonlWriter file_;     // guarded by writing_
  bool failed_ = false;  // likewise
};

Result<EventsFile> EventsFile::open(const std::filesystem::path& file,
                                    Post post) {
  auto writer = JsonlWriter::open(file);
  if (!writer) return writer.error();
  return EventsFile(std::make_shared<Writer>(std::move(*writer)),
                    std::move(post));
}

void EventsFile::on_view(const CoordinatorView& view, TimePoint /*now*/) {
  completed_ = view.completed;
}

void EventsFile::on_note(const Note& note, Round completed) {
  if (note.kind == NoteKind::kOther && !note.warning) return;
  auto json = event_of(name_of(kNoteKindNames, note.kind), completed);
  if (!note.peer.empty()) json["peer"] = note.peer;
  json["text"] = note.text;
  if (!note.edges.empty() && note.edges.size() <= kMostEdges)
    for (const SwapEdge& edge : note.edges) {
      json["from"].push_back(edge.source.value);
      json["to"].push_back(edge.target.value);
    }
  append(line_of(json));
}

void EventsFile::on_checkpoint(Round round, const Result<void>& saved) {
  auto json = event_of(saved ? "checkpoint" : "fault", round);
  if (!saved) json["text"] = saved.error().message;
  append(line_of(json));
}

void EventsFile::on_finished(const Finish& finish) {
  auto json = event_of("finished", completed_);
  json["code"] = static_cast<int>(finish.code);
  json["text"] = finish.text;
  writer_->put(line_of(json));
  writer_->write_waiting();
}

void EventsFile::append(std::string line) {
  if (writer_->put(std::move(line)))
    post_([writer = writer_] { writer->write_waiting(); });
}

}  // namespace mdgan
