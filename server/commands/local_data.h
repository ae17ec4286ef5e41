// The local peers' parts of the data, and their part in a run that goes on.
#pragma once

#include <string>
#include <vector>

#include "common/data/dataset.h"
#include "common/evaluate/site_metrics.h"
#include "server/options.h"
#include "server/run/run_directory.h"
#include "server/run/run_state.h"

namespace mdgan {

// "local-3"
std::string local_name(std::uint32_t index);

struct LocalData {
  Shards shards;                           // of each peer
  std::vector<MeasureSite> measures = {};  // likewise; hold_out_local()
  std::string table;  // partition.json: how many images of which class
};

// Cuts `data` among options.local_peers as options.partition says, and logs who
// has how many images of which class. Fails as cut_data(), and with
// kData where a peer gets fewer images than a batch: before it cuts, if that
// can be told. REQUIRES: options.local_peers > 0.
Result<LocalData> cut_local_data(const ServerOptions& options,
                                 const Dataset& data);

// What the local peers measure generators with, by this classifier (uint8 [m]):
// of the evaluation data's test part each has a part, cut as what it trains on.
// Fails as load_evaluation_data() and measure_site(), and with kData where
// there is no test part, so that all would be trained on, or where a peer gets
// too few.
Result<std::vector<MeasureSite>> hold_out_local(const ServerOptions& options,
                                                const Blob& classifier);

// The run as its newest valid checkpoint has it, but not newer than one that
// every local peer of the run has, too: a crash may come between
// the writing of the server's and of a peer's. Fails as load_run().
Result<RunState> load_local_run(const ServerOptions& options,
                                const RunDirectory& directory);

}  // namespace mdgan
