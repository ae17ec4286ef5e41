// Files that a person names with --out.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

#include "common/base/result.h"

namespace mdgan {

// Writes `parts`, one after the other. What is there stays what it is: a plain
// file is replaced as atomic_write() does it, a link keeps pointing to the file
// that is replaced, and a pipe, a device, /dev/stdout or /dev/stderr is written
// into. A pipe's reader is waited for. Fails with kCheckpoint, naming the file
// and the system's reason.
Result<void> write_output(const std::filesystem::path& path,
                          std::span<const std::span<const std::byte>> parts);

}  // namespace mdgan
