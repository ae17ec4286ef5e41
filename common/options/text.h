// Text for a person at a terminal.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace mdgan {

// The candidate most like `word`, if any is like it.
std::optional<std::string_view> nearest(
    std::string_view word, std::span<const std::string_view> candidates);

// ": did you mean 'batch'?" or nothing.
std::string suggestion(std::string_view word,
                       std::span<const std::string_view> candidates);

// Words of `text` broken into lines of at most `width`; all but the first are
// indented by `indent` columns.
std::string wrap(std::string_view text, std::size_t width, std::size_t indent);

// Takes the word that the arguments begin with, if there is one.
std::string take_word(std::span<const char* const>& arguments);

// Whether the arguments contain --help or -h.
bool asks_for_help(std::span<const char* const> arguments);

}  // namespace mdgan
