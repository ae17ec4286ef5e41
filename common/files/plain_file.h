// Files of which only plain ones will do. Opening a pipe waits for its other
// end, and what is written to a device is lost: whatever is no plain file is
// refused, in words, before anything is done.
#pragma once

#include <filesystem>
#include <span>

#include "common/base/result.h"
#include "common/files/file_descriptor.h"

namespace mdgan {

// open(2) with `flags`, which may make the file. Fails with `code`, naming the
// file and the reason.
Result<FileDescriptor> open_plain(const std::filesystem::path& path, int flags,
                                  ExitCode code);

// Fails with kCheckpoint where something else than a plain file has this name;
// nothing need have it.
Result<void> check_plain(const std::filesystem::path& path);

// Fails with kCheckpoint, naming the folder, unless all of these folders can be
// written, or made where they are missing. Leaves nothing behind.
Result<void> check_writable(std::span<const std::filesystem::path> folders);

}  // namespace mdgan
