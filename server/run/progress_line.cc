#include "server/run/progress_line.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/base/words.h"
#include "server/run/waiting.h"

namespace mdgan {
namespace {

constexpr Duration kFirstWait = std::chrono::seconds(5);
constexpr Duration kLongestWait = std::chrono::minutes(5);
constexpr std::uint32_t kRefusalsAMinute = 20;

std::string duration_text(double seconds) {
  if (!std::isfinite(seconds) || seconds > 1e8) return "?";
  const auto whole = static_cast<std::uint64_t>(std::llround(seconds));
  if (whole >= 3600)
    return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60,
                       whole % 60);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

// Three decimals, but a few digits where the number is huge.
std::string loss_text(double loss) {
  return std::abs(loss) < 1e6 ? fmt::format("{:.3f}", loss)
                              : fmt::format("{:.3g}", loss);
}

}  // namespace

std::string progress_text(const StatsRecord& record, std::uint64_t rounds,
                          double seconds_left, std::uint64_t total_sent,
                          std::uint64_t total_received) {
  std::string text = fmt::format(
      "round {}/{}  {:.1f} rounds/s  {} left  D {}  G {}  {} peer{}  "
      "sent {}  received {}",
      record.round, rounds, record.rounds_per_second,
      duration_text(seconds_left), loss_text(record.d_loss),
      loss_text(record.g_loss), record.peers, record.peers == 1 ? "" : "s",
      bytes_words(total_sent), bytes_words(total_received));
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
                     (unsaved_ ? "  NOT SAVED" : "") +
                     (insecure_ ? "  INSECURE" : ""));
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

void ProgressLine::on_view(const CoordinatorView& view, TimePoint now) {
  if (now >= next_minute_) {
    if (refusals_unsaid_ > 0)
      spdlog::warn("{} more peers were refused within a minute",
                   refusals_unsaid_);
    refusals_said_ = 0;
    refusals_unsaid_ = 0;
    next_minute_ = now + std::chrono::minutes(1);
  }
  const Progress progress{view.stage, view.completed, view.live};
  if (std::exchange(progress_, progress) != progress) {
    waits_since_ = now;
    wait_ = kFirstWait;
    return;
  }
  if (now - waits_since_ < wait_) return;
  const std::string text = waiting_text(view, refusals_);
  if (text.empty()) return;
  wait_ = now - waits_since_ + std::min(now - waits_since_, kLongestWait);
  log_.show_progress(text + (insecure_ ? "  INSECURE" : ""));
}

void ProgressLine::on_refused(const Refusal& refusal) {
  if (!refusals_.add(refusal, std::chrono::system_clock::now())) return;
  if (refusals_said_ == kRefusalsAMinute) {
    ++refusals_unsaid_;
    return;
  }
  ++refusals_said_;
  spdlog::warn("refused peer {}{}: {}", refusal.name,
               refusal.address.empty() ? "" : " at " + refusal.address,
               refusal.reason);
}

void ProgressLine::on_note(const Note& note, Round /*completed*/) {
  spdlog::log(note.warning ? spdlog::level::warn : spdlog::level::info, "{}",
              note.text);
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
