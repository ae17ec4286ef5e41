// A run as its page and its /metrics show it, from the files of its folder
// alone. server/view/README.md lists the routes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "server/view/http_message.h"
#include "server/view/line_tail.h"
#include "server/view/metrics_text.h"
#include "server/view/run_events.h"
#include "server/view/series.h"

namespace mdgan {

// A request reads what files have gained since the one before; the first one
// reads all. Threads: one at a time.
class RunView {
 public:
  explicit RunView(std::filesystem::path run);

  // Reads what has come, so that the next answer need not.
  void load();
  // `now`: seconds since 1970 (UTC).
  HttpResponse answer(const HttpRequest& request, double now);

  // Whether the route tells of the run: then it needs the token.
  static bool tells_of_run(const std::string& path);

 private:
  struct Metric {
    LineTail tail;
    std::uint64_t seen = 0;  // the refresh that found its file last
  };
  bool refresh();  // whether there is more to read
  bool refresh_metrics();
  HttpResponse status(double now) const;
  HttpResponse series(const HttpRequest& request) const;
  HttpResponse events(const std::string& query) const;
  HttpResponse metrics(double now) const;
  HttpResponse health(bool ready, double now) const;

  std::filesystem::path run_;
  LineTail stats_tail_;
  LineTail events_tail_;
  Series stats_;
  RunEvents events_;
  std::map<std::string, Metric> metric_tails_;
  std::map<std::string, Series> metrics_;
  std::uint64_t refreshes_ = 0;
  std::uint64_t start_;        // of this process: versions of another differ
  std::uint64_t version_ = 0;  // of stats_ and metrics_
};

}  // namespace mdgan
