#include <cstdio>
#include <exception>
#include <variant>

#include "common/base/descriptors.h"
#include "common/base/error_exception.h"
#include "common/base/heap.h"
#include "common/base/terminal.h"
#include "common/models/script_summary.h"
#include "common/net/routing_ids.h"
#include "common/tensor/blas_core.h"
#include "common/version/version.h"
#include "server/advice.h"
#include "server/commands/commands.h"
#include "server/commands/enrol.h"
#include "server/commands/inspect.h"
#include "server/commands/status.h"

namespace {

using namespace mdgan;  // NOLINT: the program's own names

ExitCode run(const ServerOptions& options) { return run_train(options); }
ExitCode run(const SampleOptions& options) { return run_sample(options); }
ExitCode run(const EvaluateOptions& options) { return run_evaluate(options); }
ExitCode run(const ExportOptions& options) { return run_export(options); }
ExitCode run(const KeygenOptions& options) { return run_keygen(options); }
ExitCode show_result(const Result<std::string>& text) {
  return text ? show(*text) : report(text.error());
}
ExitCode run(const AdviseOptions& options) { return show(advice(options)); }
ExitCode run(const InviteOptions& options) {
  return show_result(invite(options));
}
ExitCode run(const AdmitOptions& options) {
  return show_result(admit(options));
}
ExitCode run(const StatusOptions& options) {
  const auto shown = show_status(options);
  return shown ? ExitCode::kOk : report(shown.error());
}
ExitCode run(const ViewOptions& options) { return run_view(options); }
ExitCode run(const InspectOptions& options) {
  return show_result(
      options.image.values() == 0
          ? inspect(options.path)
          : describe_script(options.path, {options.image, options.condition,
                                           options.latent}));
}
ExitCode run(const StopOptions& options) {
  return show_result(stop_run(options));
}
ExitCode run(const VersionRequest&) {
  return show(version_text("mdgan-server"));
}
ExitCode run(const HelpRequest& request) { return show(request.text); }

}  // namespace

int main(int argc, char** argv) {
  open_standard_descriptors();
  keep_freed_memory();
  raise_descriptor_limit();
  choose_blas_core(argv);
  fix_cublas_workspace();
  log_to_stderr("%^%l%$: %v");  // training sets a pattern of its own
  try {
    seed_routing_ids();
    const auto command =
        parse_server_options(argc, argv, environment_of_process());
    if (!command) {
      std::fprintf(stderr, "mdgan-server: %s\n",
                   command.error().message.c_str());
      return static_cast<int>(command.error().code);
    }
    return static_cast<int>(
        std::visit([](const auto& c) { return run(c); }, *command));
  } catch (const std::exception& e) {
    const Error error = error_of(e);
    std::fprintf(
        stderr, "mdgan-server: %s%s\n",
        error.code == ExitCode::kBug ? "a fault of this program: " : "",
        error.message.c_str());
    return static_cast<int>(error.code);
  }
}
