// Parts of a text.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <string_view>

namespace mdgan::test {

// Whether all parts stand in the text.
inline bool contains(std::string_view text,
                     std::initializer_list<std::string_view> parts) {
  return std::ranges::all_of(parts, [&](std::string_view part) {
    return text.find(part) != text.npos;
  });
}

}  // namespace mdgan::test
