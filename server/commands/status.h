// `mdgan-server status` and `mdgan-server stop`.
#pragma once

#include <string>

#include "common/base/result.h"
#include "server/command_options.h"

namespace mdgan {

// Shows how a run stands, on stdout; with options.watch, until it is over.
// Fails with kUsage or kCheckpoint where there is nothing to show.
Result<void> show_status(const StatusOptions& options);

// Ends the run's server by SIGTERM and waits until it has saved and is gone.
// Returns what happened, for stdout; success too when it had finished already.
// Fails with kUnreachable when the server was killed before it finished or
// cannot be signalled from here, and with the server's own code when that is
// another than kOk and kStopped.
Result<std::string> stop_run(const StopOptions& options);

}  // namespace mdgan
