// The names of classes: they, and not numbers, say what a label means, since
// two data sets may number the same classes otherwise.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mdgan {

using ClassNames = std::vector<std::string>;

// Why a peer cannot tell these names (protocol/limits.h), in words that follow
// "the classes cannot be told: "; empty: it can.
std::string defect_of(const ClassNames& names);

// "0", "1", ..., for data sets whose labels are numbers.
ClassNames numbered_classes(std::uint32_t count);

// A comma-separated list; blanks around a name are no part of it. A single
// number N stands for the classes 0 to N-1. nullopt: an empty name, or a
// defect_of().
std::optional<ClassNames> parse_classes(std::string_view text);
// Parses to the same, unless a name has a comma or blanks at its ends.
std::string to_text(const ClassNames& names);
// For messages: "cat, dog, fox", of many the first, and how many there are. A
// name with a comma stands in quotes.
std::string listed(const ClassNames& names);

// All names that occur in the lists. The order of the lists, if they are all
// the same; else numbers first, by their value, then the others by their bytes.
ClassNames union_of(std::span<const ClassNames> lists);

// Where each of `names` stands in `list`; nullopt: nowhere.
std::vector<std::optional<std::uint32_t>> places(const ClassNames& names,
                                                 const ClassNames& list);

// The place in `list` that a person means: of the class with this name, or the
// number itself. nullopt: there is no such place.
std::optional<std::uint32_t> place_of(std::string_view text,
                                      const ClassNames& list);
// The first of `names` that `list` lacks; nullopt: it lacks none.
std::optional<std::string> first_not_in(const ClassNames& names,
                                        const ClassNames& list);

}  // namespace mdgan
