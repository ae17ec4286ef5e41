// `mdgan-peer status`.
#pragma once

#include <string>

#include "common/base/result.h"
#include "peer/options.h"

namespace mdgan {

// What to show on stdout. Fails with kUsage where no peer has left a status in
// the state folder, with kCheckpoint where it cannot be read.
Result<std::string> show_status(const PeerStatusOptions& options);

}  // namespace mdgan
