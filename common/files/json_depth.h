// JSON of others is looked at before it is parsed.
#pragma once

#include <string_view>

namespace mdgan {

// Whether objects and arrays nest no deeper in the text. A parsed megabyte of
// brackets would be a hundred, and what walks it would recurse as deep.
bool nests_at_most(std::string_view json, int limit);

// Enough for the files of a run.
inline constexpr int kNestingOfRunFiles = 16;

}  // namespace mdgan
