// What the programs say: results on stdout, everything else on stderr.
#pragma once

#include <string>
#include <string_view>

#include "common/base/result.h"

namespace mdgan {

// Sends the log to stderr in the given spdlog pattern. It has colours where
// stderr is a terminal and the variable NO_COLOR is not set (no-color.org), and
// never makes the program wait: see unblocking_output.h.
void log_to_stderr(const std::string& pattern);

// Writes `text` to stdout and flushes it. Fails with kCheckpoint, saying why,
// where it cannot be written: a full disk, a closed stdout.
Result<void> write_stdout(std::string_view text);

// The exit code of a program that was asked for `text` alone: on failure, the
// reason is logged.
ExitCode show(std::string_view text);
// Of one that has made keys in `file` and tells of them: they are there
// although this cannot be told.
ExitCode show_keys(std::string_view text, const std::string& file);

}  // namespace mdgan
