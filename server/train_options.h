// The table of the options of `mdgan-server train`: names, help, ranges.
#pragma once

#include "server/options.h"

namespace mdgan {

// `options` must outlive the table.
OptionTable train_table(ServerOptions& options);

}  // namespace mdgan
