// The file that says how a run trains, of which it is known whether it is
// whole.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace mdgan {

// `text` with a first and a last line, by which check_configuration() knows
// that nothing was cut off: a key that is missing would count as the default.
std::string marked_configuration(const std::string& text);

// Whether `text` is one that was marked so, whole or not.
bool is_marked(std::string_view text);

// Fails with kCheckpoint when config.ini in the run's folder is missing, empty
// or cut off. One that a person wrote has neither mark.
Result<void> check_configuration(const std::filesystem::path& run);

}  // namespace mdgan
