#include "common/base/terminal.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <system_error>

namespace mdgan {

void log_to_stderr(const std::string& pattern) {
  const char* const no_colour = std::getenv("NO_COLOR");
  const bool plain = no_colour != nullptr && *no_colour != '\0';
  auto logger = std::make_shared<spdlog::logger>(
      "mdgan",
      std::make_shared<spdlog::sinks::stderr_color_sink_mt>(
          plain ? spdlog::color_mode::never : spdlog::color_mode::automatic));
  logger->set_pattern(pattern);
  spdlog::set_default_logger(std::move(logger));
}

Result<void> write_stdout(std::string_view text) {
  errno = 0;
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() &&
      std::fflush(stdout) == 0)
    return {};
  return Error{
      "cannot write to stdout: " + std::generic_category().message(errno) +
          "; free some space or send the output elsewhere, and repeat "
          "the command",
      ExitCode::kCheckpoint};
}

ExitCode show(std::string_view text) {
  const auto written = write_stdout(text);
  if (written) return ExitCode::kOk;
  spdlog::error("{}", written.error().message);
  return written.error().code;
}

}  // namespace mdgan
