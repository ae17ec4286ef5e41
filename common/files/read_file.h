// A whole file in memory.
#pragma once

#include <cstddef>
#include <filesystem>
#include <vector>

#include "common/base/result.h"

namespace mdgan {

// Fails with `code`, naming the file and the reason, when it is missing, not a
// regular file or unreadable. Allocates no more than the file's size.
Result<std::vector<std::byte>> read_file(const std::filesystem::path& path,
                                         ExitCode code);

}  // namespace mdgan
