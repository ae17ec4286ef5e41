// What a server knows of its run's images and labels before any peer speaks.
#pragma once

#include "common/base/result.h"
#include "common/data/dataset.h"
#include "server/io/server_shell.h"
#include "server/options.h"
#include "server/run/run_state.h"

namespace mdgan {

// From the configuration, the server's own data (null: it has none) and the
// checkpoint. Fails with kConfiguration where these contradict each other, and
// says in which image size or class.
Result<KnownData> known_data(const ServerOptions& options, const Dataset* data,
                             const RunState& state);

}  // namespace mdgan
