#include "server/run/progress_line.h"

#include <spdlog/spdlog.h>

#include <cmath>

namespace mdgan {
namespace {

std::string duration_text(double seconds) {
  if (!std::isfinite(seconds) || seconds > 1e8) return "?";
  const auto whole = static_cast<std::uint64_t>(std::llround(seconds));
  if (whole >= 3600)
    return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60,
                       whole % 60);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

std::string bytes_text(std::uint64_t bytes) {
  double value = static_cast<double>(bytes);
  const char* unit = "B";
  for (const char* next : {"KiB", "MiB", "GiB", "TiB"}) {
    if (value < 1024) break;
    value /= 1024;
    unit = next;
  }
  return fmt::format("{:.{}f} {}", value, bytes < 1024 ? 0 : 1, unit);
}

}  // namespace

std::string progress_text(const StatsRecord& record, std::uint64_t rounds,
                          double seconds_left, std::uint64_t total_sent,
                          std::uint64_t total_received) {
  std::string text = fmt::format(
      "round {}/{}  {:.1f} rounds/s  {} left  D {:.3f}  G {:.3f}  {} peer{}  "
      "sent {}  received {}",
      record.round, rounds, record.rounds_per_second,
      duration_text(seconds_left), record.d_loss, record.g_loss, record.peers,
      record.peers == 1 ? "" : "s", bytes_text(total_sent),
      bytes_text(total_received));
  if (record.evaluation)
    text += fmt::format("  {} at {}", summary(*record.evaluation),
                        record.evaluation->round);
  return text;
}

void ProgressLine::show(StatsRecord record) {
  record.evaluation = evaluation_;
  const std::uint64_t to_come =
      rounds_ > record.round ? rounds_ - record.round : 0;
  log_.show_progress(progress_text(record, rounds_, remaining_.of(to_come),
                                   total_sent_, total_received_) +
                     (unsaved_ ? "  NOT SAVED" : ""));
}

void ProgressLine::on_tick(const StatsRecord& record) {
  remaining_.add(record.seconds_per_round);
  total_sent_ += record.bytes_sent;
  total_received_ += record.bytes_received;
  const bool measured = evaluation_ && evaluation_->round == rounds_;
  if (evaluates_ && record.round == rounds_ && !measured)
    held_ = record;
  else
    show(record);
}

void ProgressLine::on_note(const std::string& text, bool warning) {
  spdlog::log(warning ? spdlog::level::warn : spdlog::level::info, "{}", text);
}

void ProgressLine::on_evaluation(const EvaluationRecord& record) {
  spdlog::info("round {}: {}, in {:.1f} s", record.round, summary(record),
               record.seconds.total());
  evaluation_ = record;
  if (record.round == rounds_) show_held();
}

void ProgressLine::on_checkpoint(Round round, const Result<void>& saved) {
  if (!saved && !unsaved_)  // then each tick's line says it
    spdlog::error(
        "{}; older checkpoints are intact, and training goes on: the next "
        "attempt is within a minute",
        saved.error().message);
  else if (saved && unsaved_)
    spdlog::info("checkpoints can be written again: round {} is saved",
                 round.value);
  unsaved_ = !saved;
}

void ProgressLine::on_finished(const Finish& /*finish*/) { show_held(); }

void ProgressLine::show_held() {
  if (held_) show(*held_);
  held_.reset();
}

}  // namespace mdgan
