// The local peers' parts of the data, and their part in a run that goes on.
#pragma once

#include "common/data/dataset.h"
#include "server/options.h"
#include "server/run/run_directory.h"
#include "server/run/run_state.h"

namespace mdgan {

// "local-3"
std::string local_name(std::uint32_t index);

// Cuts `data` among options.local_peers as options.partition says, logs who
// has how many images of which class, and leaves that as partition.json in the
// run directory. Fails as cut_data() and atomic_write() do, and with kData
// where a peer gets fewer images than a batch: before it cuts, if that can be
// told.
// REQUIRES: options.local_peers > 0.
Result<Shards> cut_local_data(const ServerOptions& options,
                              const RunDirectory& directory,
                              const Dataset& data);

// The run as its newest valid checkpoint has it, but not newer than one that
// every local peer has, too, of those that have any: a crash may come between
// the writing of the server's and of a peer's. Fails as load_run().
Result<RunState> load_local_run(const ServerOptions& options,
                                const RunDirectory& directory);

}  // namespace mdgan
