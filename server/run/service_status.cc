#include "server/run/service_status.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "common/base/service_manager.h"
#include "common/base/words.h"

namespace mdgan {

void ServiceStatus::on_state(ServerState state) {
  state_ = state;
  if (state == ServerState::kListening)
    tell_ready(text());
  else if (state == ServerState::kStopping)
    tell_stopping();
}

void ServiceStatus::on_view(const CoordinatorView& view, TimePoint /*now*/) {
  view_ = view;
  tell_alive(text());
}

void ServiceStatus::on_finished(const Finish& /*finish*/) { tell_stopping(); }

std::string ServiceStatus::text() const {
  return fmt::format(
      "{}, round {} of {}; {} of {}", name_of(kServerStateNames, state_),
      count_words(view_.completed.value), count_words(view_.rounds),
      count_words(view_.live),
      plural(std::max<std::uint64_t>(view_.members.size(), view_.needed),
             "peer"));
}

}  // namespace mdgan
