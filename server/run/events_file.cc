#include "server/run/events_file.h"

#include <chrono>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

namespace mdgan {
namespace {

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

EventsFile::EventsFile(LineWriter file, WriteQueue::Post post)
    : file_(std::make_shared<LineWriter>(std::move(file))),
      queue_(file_->path(), std::move(post)) {}

Result<EventsFile> EventsFile::open(const std::filesystem::path& file,
                                    WriteQueue::Post post) {
  auto writer = LineWriter::open(file);
  if (!writer) return writer.error();
  return EventsFile(std::move(*writer), std::move(post));
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
  append(line_of(json));
  queue_.finish();
}

void EventsFile::append(std::string line) {
  queue_.put(
      [file = file_, line = std::move(line)] { return file->append(line); });
}

}  // namespace mdgan
