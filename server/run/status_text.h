// How a run stands, in words for a person at a terminal.
#pragma once

#include <filesystem>
#include <string>

#include "server/run/saved_status.h"

namespace mdgan {

// One sentence, such as "training, round 12,400 of 40,000, 2 h 10 min left; 9
// of 10 peers; hospital-c missing for 40 s". A server that is gone without
// having finished is told as that, with the command that goes on with the run.
// `now`: seconds since 1970 (UTC).
std::string status_sentence(const SavedStatus& status, RunUser user,
                            const std::filesystem::path& run, double now);

// The sentence, what else a person should know, and a table of the peers, those
// first that a person should look at.
std::string status_text(const SavedStatus& status, RunUser user,
                        const std::filesystem::path& run, double now);

// Whether nothing of this status changes any more.
// A file that is fresh may be one that another machine writes.
bool is_over(const SavedStatus& status, RunUser user, double now);

}  // namespace mdgan
