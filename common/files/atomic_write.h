// Files that are either the old or the new one, whenever the process or the
// machine dies: written under a temporary name in the same directory, synced,
// renamed, and the directory synced.
//
// Errors have ExitCode::kCheckpoint and name the file and the system's reason
// (no space, read-only, ...); the old file is then untouched and the temporary
// one removed. A killed process leaves a temporary file behind, whose name
// begins with kTemporaryPrefix.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace mdgan {

inline constexpr std::string_view kTemporaryPrefix = ".tmp-";

Result<void> atomic_write(const std::filesystem::path& path,
                          std::span<const std::span<const std::byte>> parts);
Result<void> atomic_write(const std::filesystem::path& path,
                          std::string_view text);

// The same for a file that nobody but its owner may read.
Result<void> atomic_write_private(const std::filesystem::path& path,
                                  std::string_view text);

// The same for a file that is written often and means nothing once its writer
// is gone: not synced, so that a crash of the machine may leave it empty.
Result<void> atomic_write_unsynced(const std::filesystem::path& path,
                                   std::string_view text);

// For a file that must not exist yet, in a directory that nothing refers to
// yet: not synced, so that several files need not each wait for the disk. A
// failure leaves what has been written.
Result<void> write_new(const std::filesystem::path& path,
                       std::span<const std::span<const std::byte>> parts);
Result<void> sync_file(const std::filesystem::path& path);

// Makes a rename or removal inside the directory survive a power cut.
Result<void> sync_directory(const std::filesystem::path& directory);

// Makes the directory and its parents, those that are missing, so that they
// survive a power cut.
Result<void> make_directories(const std::filesystem::path& path);

// kTemporaryPrefix, `name` and random digits.
std::string temporary_name(std::string_view name);

}  // namespace mdgan
