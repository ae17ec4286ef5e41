// What a run waits for, in words.
#pragma once

#include <string>

#include "server/core/coordinator_view.h"
#include "server/run/refusals.h"

namespace mdgan {

// "waiting for 2 of 5 peers: hospital-c (refused), hospital-e", "paused after
// round 12: waiting for ...", "round 13: waiting for the answers of 1 of 4
// peers: hospital-b", "swap after round 12: waiting for ..."; empty where
// the run waits for no peer. Of more than five peers, the rest is a number.
std::string waiting_text(const CoordinatorView& view, const Refusals& refusals);

}  // namespace mdgan
