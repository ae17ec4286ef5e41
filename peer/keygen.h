// `mdgan-peer keygen`.
#pragma once

#include <string>

#include "common/base/result.h"
#include "peer/options.h"

namespace mdgan {

// Makes the key, and says on stdout where it is and what to do next. The peer
// is called `hostname` unless the options name it. Logs its errors.
ExitCode run_keygen(const PeerKeygenOptions& options,
                    const std::string& hostname);

}  // namespace mdgan
