// The table of the options of `mdgan-server train`: names, help, ranges.
#pragma once

#include <vector>

#include "server/options.h"

namespace mdgan {

// `options` must outlive the groups and the table.
std::vector<OptionGroup> train_groups(ServerOptions& options);
OptionTable train_table(ServerOptions& options);

// A size like 3x32x32; without classes.
CustomValue image_size(ImageShape* image);

}  // namespace mdgan
