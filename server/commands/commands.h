// The commands of mdgan-server that have a file of their own; enrol.h and
// status.h have two each, inspect.h has one. These return an exit code and
// report their own errors on the terminal.
#pragma once

#include "common/base/result.h"
#include "server/command_options.h"

namespace mdgan {

ExitCode run_train(const ServerOptions& options);
ExitCode run_sample(const SampleOptions& options);
ExitCode run_evaluate(const EvaluateOptions& options);
ExitCode run_export(const ExportOptions& options);
ExitCode run_view(const ViewOptions& options);
ExitCode run_keygen(const KeygenOptions& options);

// Logs the message as an error, on the terminal and in an open run's log.txt,
// and returns the error's code.
ExitCode report(const Error& error);

}  // namespace mdgan
