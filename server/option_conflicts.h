// Options of `mdgan-server train` that do not go together: labels, losses, ways
// to weigh answers, hostile peers.
#pragma once

#include "common/base/result.h"
#include "server/options.h"

namespace mdgan {

// Fails with kUsage, and where there are too few peers for what the rule is to
// bear with kConfiguration. REQUIRES: min_peers is resolved.
Result<void> check_training(const ServerOptions& o);

// Whether those fit together that say how the generator is measured. Fails with
// kUsage.
Result<void> check_evaluation(const ServerOptions& o);

}  // namespace mdgan
