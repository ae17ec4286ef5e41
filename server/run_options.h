// The options of a run that exists against those of a new start.
#pragma once

#include <filesystem>
#include <optional>

#include "common/base/result.h"
#include "server/options.h"

namespace mdgan {

// The folder of the run that `options` go on with, if its configuration can be
// read; nothing where they begin one.
std::optional<std::filesystem::path> run_to_go_on_with(
    const ServerOptions& options);

// Has a model of the user's own, given as script:FILE, named by its file's hash
// (common/models/script_file.h). Where a configuration has that name, the file
// is in the run's folder, beside it. Fails with kConfiguration where the file
// cannot be read or is another.
Result<void> resolve_model(ServerOptions& options);

// Whether `options`, resolved, may go on with `run`. Fails with kConfiguration,
// naming each option that contradicts the run's own: with --resume, what its
// saved state cannot take; with --run-dir also what would make it another run.
Result<void> check_against_run(const ServerOptions& options,
                               const std::filesystem::path& run);

}  // namespace mdgan
