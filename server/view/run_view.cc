#include "server/view/run_view.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <system_error>

#include "common/files/hash.h"
#include "protocol/clean_text.h"
#include "server/run/saved_status.h"
#include "server/run/status_text.h"
#include "server/view/page_files.h"
#include "server/view/pictures.h"

namespace mdgan {
namespace {

namespace fs = std::filesystem;
using OrderedJson = nlohmann::ordered_json;

constexpr std::size_t kMostMetrics = 32;  // files
// The loop writes status.json every second: a server whose file is older than
// this hangs, or its disk does.
constexpr double kHanging = 120;

std::string quoted(const std::string& text) {
  return OrderedJson(text).dump(-1, ' ', /*ensure_ascii=*/true,
                                OrderedJson::error_handler_t::replace);
}

// The number after "key=" in the query, within the limits; `otherwise` where
// there is none.
std::size_t number_in(std::string_view query, std::string_view key,
                      std::size_t otherwise, std::size_t low,
                      std::size_t high) {
  while (!query.empty()) {
    const std::string_view part = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), part.size() + 1));
    if (!part.starts_with(key) || part.size() <= key.size() ||
        part[key.size()] != '=')
      continue;
    const char* const begin = part.data() + key.size() + 1;
    const char* const end = part.data() + part.size();
    std::size_t value = 0;
    const auto read = std::from_chars(begin, end, value);
    if (read.ec == std::errc::result_out_of_range) return high;
    if (read.ec == std::errc{} && read.ptr == end)
      return std::clamp(value, low, high);
  }
  return otherwise;
}

// "fid10k" of metric-fid10k.jsonl.
std::optional<std::string> metric_of(std::string_view file) {
  constexpr std::string_view kPrefix = "metric-";
  constexpr std::string_view kSuffix = ".jsonl";
  if (!file.starts_with(kPrefix) || !file.ends_with(kSuffix) ||
      file.size() <= kPrefix.size() + kSuffix.size() || file.size() > 64)
    return std::nullopt;
  const std::string_view name = file.substr(
      kPrefix.size(), file.size() - kPrefix.size() - kSuffix.size());
  const bool plain = std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  });
  if (!plain) return std::nullopt;
  return std::string(name);
}

// Another machine may have the run, if the file is fresh.
const char* server_word(const SavedStatus& status, RunUser user, double now) {
  if (user == RunUser::kUnknown) return "unknown";
  if (user != RunUser::kNobody) return "running";
  return is_over(status, user, now) ? "gone" : "unknown";
}

bool is_served(ServerState state) {
  return state != ServerState::kStarting && state != ServerState::kFinished;
}

}  // namespace

RunView::RunView(fs::path run)
    : run_(std::move(run)),
      stats_tail_(run_ / "stats.jsonl"),
      events_tail_(run_ / "events.jsonl"),
      start_(random_number()) {}

void RunView::load() {
  while (refresh()) {
  }
}

bool RunView::refresh() {
  ++refreshes_;
  const auto changed = [this] { ++version_; };
  bool more = stats_tail_.read(
      [&] { stats_.clear(), changed(); },
      [&](std::string_view line) { stats_.add(line), changed(); });
  more |= events_tail_.read([&] { events_.clear(); },
                            [&](std::string_view line) { events_.add(line); });
  return refresh_metrics() || more;
}

bool RunView::refresh_metrics() {
  bool more = false;
  std::error_code error;  // the folder may be gone
  for (fs::directory_iterator it(run_, error), end; !error && it != end;
       it.increment(error)) {
    const auto name = metric_of(it->path().filename().string());
    if (!name) continue;
    auto found = metric_tails_.find(*name);
    if (found == metric_tails_.end()) {
      if (metric_tails_.size() == kMostMetrics) continue;
      found =
          metric_tails_.emplace(*name, Metric{LineTail(it->path()), 0}).first;
    }
    Series& series = metrics_[*name];
    found->second.seen = refreshes_;
    more |= found->second.tail.read(
        [&] { series.clear(), ++version_; },
        [&](std::string_view line) { series.add(line), ++version_; });
  }
  if (error) return more;
  std::erase_if(metric_tails_, [&](const auto& entry) {
    if (entry.second.seen == refreshes_) return false;
    metrics_.erase(entry.first);
    ++version_;
    return true;
  });
  return more;
}

bool RunView::tells_of_run(const std::string& path) {
  return path.starts_with("/api/") || path.starts_with("/samples/") ||
         path == "/metrics";
}

HttpResponse RunView::answer(const HttpRequest& request, double now) {
  for (const PageFile& file : page_files())
    if (request.path == file.path)
      return {200, std::string(file.content_type), std::string(file.body)};
  constexpr std::string_view kSamples = "/samples/";
  if (request.path.starts_with(kSamples))
    return picture(run_ / "samples", request.path.substr(kSamples.size()),
                   request.if_none_match);
  if (request.path == "/healthz") return health(false, now);
  if (request.path == "/readyz") return health(true, now);
  if (request.path == "/api/samples")
    return json_response(pictures_json(run_ / "samples"));
  if (!tells_of_run(request.path))
    return text_response(404, "There is no such page.\n");
  load();
  if (request.path == "/api/status") return status(now);
  if (request.path == "/api/series") return series(request);
  if (request.path == "/api/events") return events(request.query);
  if (request.path == "/metrics") return metrics(now);
  return text_response(404, "There is no such page.\n");
}

HttpResponse RunView::status(double now) const {
  std::error_code ignored;
  const fs::path absolute = fs::absolute(run_, ignored).lexically_normal();
  const std::string name = protocol::presentable(
      (absolute.has_filename() ? absolute : absolute.parent_path())
          .filename()
          .string());
  const auto status = read_status(run_);
  if (!status)
    return json_response(fmt::format(
        R"({{"run":{},"now":{:.3f},"sentence":{},"server":"unknown",)"
        R"("over":false,"status":null,"troubles":[]}})",
        quoted(name), now,
        quoted(protocol::presentable(status.error().message))));
  const RunUser user = user_of(run_, status->pid);
  return json_response(fmt::format(
      R"({{"run":{},"now":{:.3f},"sentence":{},"server":"{}","over":{},)"
      R"("status":{},"troubles":{}}})",
      quoted(name), now, quoted(status_sentence(*status, user, run_, now)),
      server_word(*status, user, now), is_over(*status, user, now),
      status->json, events_.peers_json()));
}

HttpResponse RunView::series(const HttpRequest& request) const {
  const std::size_t points = number_in(
      request.query, "points", Series::kMostPoints, 1, Series::kMostPoints);
  HttpResponse response = json_response("");
  response.etag = fmt::format("\"{:x}-{}-{}\"", start_, version_, points);
  // The browser has it already: the server answers 304.
  if (request.if_none_match == response.etag) return response;
  std::string out = fmt::format("{{\"lines\":{},\"stats\":{},\"metrics\":{{",
                                stats_.lines(), stats_.thinned_json(points));
  bool first = true;
  for (const auto& [name, series] : metrics_)
    out += fmt::format("{}\"{}\":{}", std::exchange(first, false) ? "" : ",",
                       name, series.thinned_json(points));
  response.body = out + "}}";
  return response;
}

HttpResponse RunView::events(const std::string& query) const {
  return json_response(
      events_.json(number_in(query, "limit", 100, 0, RunEvents::kMostKept)));
}

HttpResponse RunView::metrics(double now) const {
  RunNumbers numbers;
  if (auto status = read_status(run_)) {
    const RunUser user = user_of(run_, status->pid);
    numbers.serving = status->state != ServerState::kFinished &&
                      !is_over(*status, user, now) &&
                      now - status->updated < kHanging;
    numbers.status = std::move(*status);
  }
  numbers.stats = &stats_;
  numbers.metrics = &metrics_;
  numbers.events = &events_;
  return {200, "text/plain; version=0.0.4; charset=utf-8",
          metrics_text(numbers)};
}

// Everybody may ask: the answer is one word.
HttpResponse RunView::health(bool ready, double now) const {
  const auto status = read_status(run_);
  const bool served = status && is_served(status->state) &&
                      !is_over(*status, user_of(run_, status->pid), now);
  const bool hangs = served && now - status->updated > kHanging;
  if (ready)
    return served && !hangs && status->state != ServerState::kStopping
               ? text_response(200, "ready\n")
               : text_response(503, "not ready\n");
  return hangs ? text_response(503, "hangs\n") : text_response(200, "ok\n");
}

}  // namespace mdgan
