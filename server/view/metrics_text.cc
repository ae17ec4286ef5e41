#include "server/view/metrics_text.h"

#include <spdlog/fmt/fmt.h>

#include <array>
#include <cmath>
#include <iterator>
#include <string_view>
#include <utility>

#include "protocol/training_spec.h"

namespace mdgan {
namespace {

class Text {
 public:
  // What all samples that follow are of.
  void family(std::string_view name, std::string_view type,
              std::string_view help) {
    name_ = name;
    text_ +=
        fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
  }
  // `labels`: like state="live"; empty: none. `part` of a histogram: "_sum".
  void sample(double value, std::string_view labels = {},
              std::string_view part = {}) {
    if (std::isfinite(value)) add(fmt::format("{:.10g}", value), labels, part);
  }
  void count(std::uint64_t value, std::string_view labels = {},
             std::string_view part = {}) {
    add(std::to_string(value), labels, part);
  }
  std::string take() { return std::move(text_); }

 private:
  void add(const std::string& value, std::string_view labels,
           std::string_view part) {
    text_ += labels.empty()
                 ? fmt::format("{}{} {}\n", name_, part, value)
                 : fmt::format("{}{}{{{}}} {}\n", name_, part, labels, value);
  }
  std::string name_;
  std::string text_;
};

void add_answers(const AnswerHistogram& answers, Text& out) {
  out.family("mdgan_answer_seconds", "histogram",
             "How long peers took to answer, since the server started.");
  std::uint64_t so_far = 0;
  for (std::size_t i = 0; i < AnswerHistogram::kBounds.size(); ++i)
    out.count(so_far += answers.counts[i],
              fmt::format("le=\"{}\"", AnswerHistogram::kBounds[i]), "_bucket");
  so_far += answers.counts.back();
  out.count(so_far, "le=\"+Inf\"", "_bucket");
  out.sample(answers.sum, "", "_sum");
  out.count(so_far, "", "_count");
}

void add_status(const SavedStatus& status, Text& out) {
  out.family("mdgan_state", "gauge", "1 for the state that the run is in.");
  for (const auto& [state, name] : kServerStateNames)
    out.count(state == status.state ? 1 : 0, fmt::format("state=\"{}\"", name));
  out.family("mdgan_round", "gauge", "The last complete round.");
  out.count(status.round);
  out.family("mdgan_rounds_planned", "gauge", "The run's last round.");
  out.count(status.rounds);
  if (status.rounds_per_second) {
    out.family("mdgan_rounds_per_second", "gauge",
               "Rounds a second, of the last tick.");
    out.sample(*status.rounds_per_second);
  }
  if (status.seconds_left) {
    out.family("mdgan_left_seconds", "gauge", "A guess of the time left.");
    out.sample(*status.seconds_left);
  }
  if (status.checkpoint) {
    out.family("mdgan_checkpoint_round", "gauge",
               "The round of the last checkpoint.");
    out.count(*status.checkpoint);
  }
  out.family("mdgan_checkpoints_failed", "gauge",
             "Checkpoints that this server could not write.");
  out.count(status.checkpoints_failed);
  out.family("mdgan_status_timestamp_seconds", "gauge",
             "When status.json was written, since 1970.");
  out.sample(status.updated);

  std::array<std::uint64_t, kPresenceNames.size()> peers{};
  std::uint64_t owing = 0;
  std::uint64_t images = 0;
  double longest = 0;
  for (const SavedPeer& peer : status.peers) {
    ++peers[static_cast<std::size_t>(peer.presence)];
    if (peer.presence == Presence::kLive) images += peer.shard;
    if (!peer.owes) continue;
    ++owing;
    longest = std::max(longest, *peer.owes);
  }
  out.family("mdgan_peers", "gauge", "Peers by state.");
  for (const auto& [presence, name] : kPresenceNames)
    out.count(peers[static_cast<std::size_t>(presence)],
              fmt::format("state=\"{}\"", name));
  out.family("mdgan_peers_needed", "gauge",
             "Peers without which no round begins.");
  out.count(status.needed);
  out.family("mdgan_peers_owing", "gauge",
             "Peers that have been asked and have not answered.");
  out.count(owing);
  out.family("mdgan_longest_owed_seconds", "gauge",
             "How long the slowest of these has been asked.");
  out.sample(longest);
  add_answers(status.answers, out);
  out.family("mdgan_live_images", "gauge", "Images of the live peers.");
  out.count(images);
}

void add_stats(const Series& stats, Text& out) {
  using Row = std::pair<const char*, const char*>;
  out.family("mdgan_loss", "gauge", "Mean losses of the last tick.");
  for (const auto& [key, label] :
       {Row{"d_loss", "discriminator"}, Row{"g_loss", "generator"}})
    if (const auto value = stats.last(key))
      out.sample(*value, fmt::format("network=\"{}\"", label));
  if (const auto norm = stats.last("feedback_norm")) {
    out.family("mdgan_feedback_norm", "gauge",
               "Norm of the merged feedback, mean of the last tick.");
    out.sample(*norm);
  }
  out.family("mdgan_phase_seconds_total", "counter",
             "Where the rounds' time went, by phase.");
  for (const char* const phase : {"generate", "send", "wait", "merge", "step"})
    out.sample(stats.sum_over_rounds(std::string("seconds.") + phase),
               fmt::format("phase=\"{}\"", phase));
  out.family("mdgan_bytes_total", "counter", "Bytes of tensors, by direction.");
  for (const auto& [key, label] :
       {Row{"bytes_sent", "sent"}, Row{"bytes_received", "received"},
        Row{"bytes_swapped", "swapped"}})
    out.sample(stats.sum(key), fmt::format("direction=\"{}\"", label));
  out.family("mdgan_rejected_answers", "gauge",
             "Answers that did not count as they were, by reason: those that "
             "were invalid or too long since the server started, and all that "
             "the aggregation rule shortened or left out.");
  out.sample(stats.last("answers_refused").value_or(0), "reason=\"invalid\"");
  out.sample(stats.sum("answers_not_whole"), "reason=\"aggregation\"");
}

void add_events(const RunEvents& events, Text& out) {
  out.family("mdgan_swaps_total", "counter", "Swaps, by result.");
  out.count(events.count("swap"), "result=\"done\"");
  out.count(events.count("swap aborted"), "result=\"aborted\"");
  out.family("mdgan_events_total", "counter", "Lines of events.jsonl.");
  for (const std::string_view event : kEventNames)
    out.count(events.count(event), fmt::format("event=\"{}\"", event));
}

// The generator's quality. The names of files are the run's own, and few.
void add_quality(const std::map<std::string, Series>& metrics, Text& out) {
  for (const char* const key :
       {"frechet_inception_distance", "kernel_inception_distance_mean",
        "inception_score_mean", "precision", "recall", "class_distance"}) {
    bool first = true;
    for (const auto& [file, series] : metrics) {
      const auto value = series.last(key);
      if (!value) continue;
      if (std::exchange(first, false))
        out.family(fmt::format("mdgan_{}", key), "gauge",
                   "The newest measurement, by the file metric-METRIC.jsonl.");
      out.sample(*value, fmt::format("metric=\"{}\"", file));
    }
  }
}

}  // namespace

std::string metrics_text(const RunNumbers& run) {
  Text out;
  out.family("mdgan_up", "gauge", "Whether a server has the run.");
  out.count(run.serving ? 1 : 0);
  if (run.status) add_status(*run.status, out);
  add_stats(*run.stats, out);
  add_events(*run.events, out);
  add_quality(*run.metrics, out);
  return out.take();
}

}  // namespace mdgan
