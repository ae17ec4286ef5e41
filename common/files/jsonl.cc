#include "common/files/jsonl.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/files/atomic_write.h"
#include "common/files/read_file.h"

namespace mdgan {
namespace {

bool is_after(std::string_view line, Round round) {
  const auto object =
      nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return false;
  const auto found = object.find("round");
  return found != object.end() && found->is_number_unsigned() &&
         found->get<std::uint64_t>() > round.value;
}

}  // namespace

Result<void> truncate_after_round(const std::filesystem::path& path,
                                  Round round) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return {};
  Result<std::vector<std::byte>> bytes = read_file(path, ExitCode::kCheckpoint);
  if (!bytes) return bytes.error();
  const std::string_view all(reinterpret_cast<const char*>(bytes->data()),
                             bytes->size());
  std::string kept;
  kept.reserve(all.size());
  std::size_t begin = 0;
  for (auto end = all.find('\n'); end != std::string_view::npos;
       end = all.find('\n', begin)) {
    const std::string_view line = all.substr(begin, end - begin);
    begin = end + 1;
    if (!is_after(line, round)) kept.append(line).push_back('\n');
  }
  if (kept.size() == all.size()) return {};
  return atomic_write(path, kept);
}

}  // namespace mdgan
