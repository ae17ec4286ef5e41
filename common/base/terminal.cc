#include "common/base/terminal.h"

#include <spdlog/details/os.h>
#include <spdlog/sinks/ansicolor_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <system_error>

#include "common/base/unblocking_output.h"

namespace mdgan {

namespace {

// spdlog's own of these know stdout and stderr alone.
class TerminalSink final
    : public spdlog::sinks::ansicolor_sink<spdlog::details::console_mutex> {
 public:
  using ansicolor_sink::ansicolor_sink;
};

ssize_t write_unblocking(void* output, const char* text, std::size_t bytes) {
  static_cast<UnblockingOutput*>(output)->write({text, bytes});
  return static_cast<ssize_t>(bytes);
}

// stderr as a stream that never waits for who reads it.
std::FILE* unblocking_stderr() {
  static UnblockingOutput output(STDERR_FILENO);
  static std::FILE* const stream = ::fopencookie(
      &output, "w", {nullptr, write_unblocking, nullptr, nullptr});
  return stream == nullptr ? stderr : stream;
}

bool wants_colours() {
  const char* const no_colour = std::getenv("NO_COLOR");
  if (no_colour != nullptr && *no_colour != '\0') return false;
  return spdlog::details::os::is_color_terminal() &&
         ::isatty(STDERR_FILENO) == 1;
}

}  // namespace

void log_to_stderr(const std::string& pattern) {
  // spdlog finds no terminal behind a stream of our own: it is told.
  auto logger = std::make_shared<spdlog::logger>(
      "mdgan",
      std::make_shared<TerminalSink>(
          unblocking_stderr(), wants_colours() ? spdlog::color_mode::always
                                               : spdlog::color_mode::never));
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
          "; free some space, or send the output elsewhere",
      ExitCode::kCheckpoint};
}

ExitCode show(std::string_view text) {
  const auto written = write_stdout(text);
  if (written) return ExitCode::kOk;
  spdlog::error("{}", written.error().message);
  return written.error().code;
}

ExitCode show_keys(std::string_view text, const std::string& file) {
  const ExitCode shown = show(text);
  if (shown != ExitCode::kOk)
    spdlog::error(
        "the keys are made: the secret one is in {}, the public one "
        "beside it in a file that ends in .pub",
        file);
  return shown;
}

}  // namespace mdgan
