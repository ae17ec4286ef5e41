// `mdgan-server inspect`: what a checkpoint, an export or a run is.
#pragma once

#include <filesystem>
#include <string>

#include "common/base/result.h"

namespace mdgan {

// Text for a person: what `path` is, how it stands, and the tensors in it, with
// shapes. `path` is a safetensors file, a checkpoint's folder (a server's or a
// peer's), or a run's, of which the newest sound checkpoint is shown. Hashes
// and sizes are verified. Fails with kCheckpoint, naming the file and what is
// wrong, when it is damaged or none of these.
Result<std::string> inspect(const std::filesystem::path& path);

}  // namespace mdgan
