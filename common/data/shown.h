// Paths as messages show them.
#pragma once

#include <filesystem>
#include <string>

#include "protocol/clean_text.h"

namespace mdgan {

// A file may be called anything: control characters in its name would forge
// lines of a log, or change what a terminal shows.
inline std::string shown(const std::filesystem::path& path) {
  return protocol::presentable(path.string());
}

}  // namespace mdgan
