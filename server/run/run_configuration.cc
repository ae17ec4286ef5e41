#include "server/run/run_configuration.h"

#include <spdlog/fmt/fmt.h>

#include "common/files/read_file.h"

namespace mdgan {
namespace {

constexpr std::string_view kBegin =
    "# How this run trains. The last line is \"# end\".\n";
constexpr std::string_view kEnd = "# end\n";

}  // namespace

std::string marked_configuration(const std::string& text) {
  return fmt::format("{}{}{}", kBegin, text, kEnd);
}

bool is_marked(std::string_view text) { return text.starts_with(kBegin); }

Result<void> check_configuration(const std::filesystem::path& run) {
  const std::filesystem::path file = run / "config.ini";
  std::error_code ignored;  // what cannot be seen is not there
  std::string fault;
  if (!std::filesystem::exists(file, ignored)) {
    fault = "missing";
  } else if (std::filesystem::is_regular_file(file, ignored)) {
    const auto bytes = read_file(file, ExitCode::kCheckpoint);
    if (!bytes) return bytes.error();
    const std::string_view text(reinterpret_cast<const char*>(bytes->data()),
                                bytes->size());
    if (text.empty()) fault = "empty";
    if (is_marked(text) && !text.ends_with(kEnd)) fault = "cut off";
  }
  if (fault.empty()) return {};
  return Error{
      fmt::format("{} is {}: it should say how the run trains. Put it back, or "
                  "start a new run in another folder",
                  file.string(), fault),
      ExitCode::kCheckpoint};
}

}  // namespace mdgan
