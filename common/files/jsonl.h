// Metrics as JSON lines: one object a line, appended by a LineWriter, so that a
// reader or a crash sees whole lines.
#pragma once

#include <filesystem>

#include "common/base/ids.h"
#include "common/base/result.h"

namespace mdgan {

// For a resumed run: drops, atomically, the lines whose "round" is greater than
// `round`, and a last line without an end. Lines without a "round" stay. A
// missing file is no error. Fails with kCheckpoint.
Result<void> truncate_after_round(const std::filesystem::path& path,
                                  Round round);

}  // namespace mdgan
