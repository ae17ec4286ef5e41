#include "server/run/run_configuration.h"

#include <spdlog/fmt/fmt.h>

#include "common/files/read_file.h"

namespace mdgan {
namespace {

constexpr std::string_view kBegin =
    "# How this run trains. The last line is \"# end\".\n";
constexpr std::string_view kEnd = "# end";

// A person may have added lines after it.
bool has_end(std::string_view text) {
  for (std::size_t at = text.find(kEnd, 1); at != text.npos;
       at = text.find(kEnd, at + 1)) {
    const std::string_view after = text.substr(at + kEnd.size());
    if (text[at - 1] == '\n' &&
        (after.empty() || after[0] == '\n' || after.starts_with("\r\n")))
      return true;
  }
  return false;
}

}  // namespace

std::string marked_configuration(const std::string& text) {
  return fmt::format("{}{}{}\n", kBegin, text, kEnd);
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
    if (!text.empty() && text.size() < kBegin.size() &&
        kBegin.starts_with(text))
      fault = "cut off";
    if (is_marked(text) && !has_end(text)) fault = "cut off before \"# end\"";
  }
  if (fault.empty()) return {};
  return Error{
      fmt::format("{} is {}: it should say how the run trains. Put it back, or "
                  "start a new run in another folder",
                  file.string(), fault),
      ExitCode::kCheckpoint};
}

}  // namespace mdgan
