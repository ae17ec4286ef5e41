#include "common/models/script_file.h"

#include <spdlog/fmt/fmt.h>

#include <array>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "common/files/hash.h"
#include "common/files/read_file.h"

namespace mdgan {
namespace {

// What this process was given. It is asked by every thread that makes a model.
struct Known {
  std::mutex mutex;
  std::map<std::string, std::shared_ptr<const ScriptFile>, std::less<>> files;
};

Known& known() {
  static Known files;
  return files;
}

}  // namespace

bool is_script(std::string_view model) {
  Sha256 ignored{};
  return model.starts_with(kScriptPrefix) &&
         from_hex(model.substr(kScriptPrefix.size()), ignored);
}

Result<std::string> add_script(const std::filesystem::path& file) {
  const auto bytes = read_file(file, ExitCode::kConfiguration);
  if (!bytes) return bytes.error();
  std::string name = std::string(kScriptPrefix) + to_hex(sha256(*bytes));
  auto kept = std::make_shared<ScriptFile>();
  kept->path = file.string();
  kept->bytes.assign(reinterpret_cast<const char*>(bytes->data()),
                     bytes->size());
  const std::lock_guard lock(known().mutex);
  known().files.insert_or_assign(name, std::move(kept));
  return name;
}

Result<std::shared_ptr<const ScriptFile>> find_script(std::string_view model) {
  const std::lock_guard lock(known().mutex);
  const auto found = known().files.find(model);
  if (found != known().files.end()) return found->second;
  std::string given;
  for (const auto& [name, file] : known().files)
    given += fmt::format("{}{}, which is {}", given.empty() ? "" : "; ",
                         file->path, name);
  return Error{
      fmt::format("the run's model is a TorchScript file, {}, and this program "
                  "was given {}: get that file from whoever runs the server, "
                  "see that you trust it, and give it with --model-file FILE",
                  model, given.empty() ? "none" : given),
      ExitCode::kConfiguration};
}

}  // namespace mdgan
