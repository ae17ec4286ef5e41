// Data sets that are known but not read.
#pragma once

#include <filesystem>
#include <string>

namespace mdgan {

// What a path's data set is and what to do about it, to follow the path's name;
// empty: nothing is known of it.
std::string unread_data(const std::filesystem::path& path);

}  // namespace mdgan
