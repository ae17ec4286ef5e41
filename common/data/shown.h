// Paths as messages show them, and the error that names one.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "protocol/clean_text.h"

namespace mdgan {

// A file may be called anything: control characters in its name would forge
// lines of a log, or change what a terminal shows.
inline std::string shown(const std::filesystem::path& path) {
  return protocol::presentable(path.string());
}

// Data that cannot be used: "PATH: WHAT", with ExitCode::kData.
inline Error bad_data(const std::filesystem::path& path,
                      std::string_view what) {
  return {shown(path).append(": ").append(what), ExitCode::kData};
}

}  // namespace mdgan
