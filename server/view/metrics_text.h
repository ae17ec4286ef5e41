// /metrics: a run's numbers in Prometheus' text format, version 0.0.4.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "server/run/saved_status.h"
#include "server/view/run_events.h"
#include "server/view/series.h"

namespace mdgan {

// What the files of a run say.
struct RunNumbers {
  std::optional<SavedStatus> status;  // nothing: it could not be read
  bool serving = false;               // a server has the run
  const Series* stats = nullptr;
  const std::map<std::string, Series>* metrics = nullptr;  // by file
  const RunEvents* events = nullptr;
};

// No label has a value that a peer chooses.
std::string metrics_text(const RunNumbers& run);

}  // namespace mdgan
