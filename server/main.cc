#include <cstdio>
#include <exception>
#include <variant>

#include "common/base/descriptors.h"
#include "common/base/heap.h"
#include "common/base/terminal.h"
#include "common/net/routing_ids.h"
#include "common/tensor/blas_core.h"
#include "common/version/version.h"
#include "server/commands/commands.h"
#include "server/commands/enrol.h"

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
ExitCode run(const InviteOptions& options) {
  return show_result(invite(options));
}
ExitCode run(const AdmitOptions& options) {
  return show_result(admit(options));
}
ExitCode run(const VersionRequest&) {
  return show(version_text("mdgan-server"));
}
ExitCode run(const HelpRequest& request) { return show(request.text); }

}  // namespace

int main(int argc, char** argv) {
  keep_freed_memory();
  raise_descriptor_limit();
  choose_blas_core(argv);
  log_to_stderr("%^%l%$: %v");  // training sets a pattern of its own
  try {
    seed_routing_ids();
    const auto command = parse_server_options(argc, argv);
    if (!command) {
      std::fprintf(stderr, "mdgan-server: %s\n",
                   command.error().message.c_str());
      return static_cast<int>(command.error().code);
    }
    return static_cast<int>(
        std::visit([](const auto& c) { return run(c); }, *command));
  } catch (const std::exception& e) {
    std::fprintf(stderr, "mdgan-server: a fault of this program: %s\n",
                 e.what());
    return static_cast<int>(ExitCode::kBug);
  }
}
