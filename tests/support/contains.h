// Parts of a text.
#pragma once

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <string_view>

#include "tests/support/catch.h"

namespace mdgan::test {

// Whether all parts stand in the text.
inline bool contains(std::string_view text,
                     std::initializer_list<std::string_view> parts) {
  return std::ranges::all_of(parts, [&](std::string_view part) {
    return text.find(part) != text.npos;
  });
}

// The same for one part; the next failing assertion shows the text without it.
inline bool has(std::string_view text, std::string_view part) {
  const bool found = contains(text, {part});
  if (!found) UNSCOPED_INFO("'" << part << "' is not in: " << text);
  return found;
}

// How often the part stands in the text.
inline std::size_t count_of(std::string_view text, std::string_view part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != text.npos; at = text.find(part, at + 1))
    ++count;
  return count;
}

}  // namespace mdgan::test
