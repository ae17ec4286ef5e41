// Faults in the midst of writing a file, where tests want them: the process
// kills itself, or an operation fails or hangs. Without the environment
// variable MDGAN_FAILPOINT nothing happens. Its form:
//
//   MOMENT-OPERATION[@TEXT][:COUNT[+]][=ACTION]
//
// MOMENT is before or after, OPERATION one of kFailpointOperations, TEXT a part
// of the file's path (any, without it). What is sent is a discriminator, to a
// peer's endpoint in place of the path; what is read is a folder of images. The
// fault comes at the COUNT-th time that this is passed (the first, without it);
// with + at every later one, too. ACTION is kill (SIGKILL, the default),
// ENOSPC, EIO or hang (the thread waits for ever, as for a disk that does not
// answer): "after-rename=kill", "before-write@state.safetensors:2+=ENOSPC".
#pragma once

#include <array>
#include <filesystem>
#include <string_view>

namespace mdgan {

inline constexpr std::array<std::string_view, 8> kFailpointOperations{
    "create", "write", "sync", "rename", "append", "remove", "send", "read"};

// Whether the operation is to fail; errno then says why. Threads: any.
bool failpoint(std::string_view moment_operation,
               const std::filesystem::path& path);

}  // namespace mdgan
