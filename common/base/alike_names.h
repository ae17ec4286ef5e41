// Names that are the same to a person, and not to a program: a Mac stores an
// accented letter in a folder's name as two characters, and others as one.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mdgan {

// The name without blanks and in one spelling of all that differ by case, by
// accents that are composed or not, or by the width of characters (Unicode's
// NFKC_Casefold). What is no UTF-8 stays as it is.
std::string folded(std::string_view name);
// Two of the names that are the same in folded().
std::optional<std::pair<std::string, std::string>> first_alike(
    const std::vector<std::string>& names);
// The name of `names` that differs from `name`, but not in folded().
std::optional<std::string> lookalike(std::string_view name,
                                     const std::vector<std::string>& names);

}  // namespace mdgan
