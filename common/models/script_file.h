// Models of a user's own, in TorchScript files (docs/own-models.md). The name
// of such a model is "script:" and its file's SHA-256, by which server and
// peers agree on a program that never travels: each is given the file. No
// LibTorch.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace mdgan {

inline constexpr std::string_view kScriptPrefix = "script:";

// The name of the copy that a run's folder has.
inline constexpr std::string_view kScriptInRun = "model.pt";

// Whether this is the name of such a model: "script:" and 64 digits.
bool is_script(std::string_view model);

struct ScriptFile {
  std::string path;  // where it was, for messages
  std::string bytes;
};

// Keeps the file's bytes for this process, whatever becomes of the file: models
// of its name can be made from now on. Returns the name. Fails with
// kConfiguration where the file cannot be read.
Result<std::string> add_script(const std::filesystem::path& file);

// What add_script() kept under this name. Fails with kConfiguration, saying
// which file is needed. Threads: any.
Result<std::shared_ptr<const ScriptFile>> find_script(std::string_view model);

}  // namespace mdgan
