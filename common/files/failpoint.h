// Faults in the midst of writing a file, where tests want them: the process
// kills itself, or an operation fails. Without the environment variable
// MDGAN_FAILPOINT nothing happens. Its form:
//
//   MOMENT-OPERATION[@TEXT][:COUNT[+]][=ACTION]
//
// MOMENT is before or after, OPERATION one of kFailpointOperations, TEXT a part
// of the file's path (any, without it). The fault comes at the COUNT-th time
// that this is passed (the first, without it); with + at every later one, too.
// ACTION is kill (SIGKILL, the default), ENOSPC or EIO: "after-rename=kill",
// "before-write@state.safetensors:2+=ENOSPC".
#pragma once

#include <array>
#include <filesystem>
#include <string_view>

namespace mdgan {

inline constexpr std::array<std::string_view, 6> kFailpointOperations{
    "create", "write", "sync", "rename", "append", "remove"};

// Whether the operation is to fail; errno then says why. Threads: any.
bool failpoint(std::string_view moment_operation,
               const std::filesystem::path& path);

}  // namespace mdgan
