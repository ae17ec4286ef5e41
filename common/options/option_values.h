// Values of options as text.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/options/options_parser.h"

namespace mdgan {

// The shortest decimal that reads back to the same number; never an exponent.
std::string number(double value);

// What an option is set to, as it stands in a configuration file.
std::string text_of(const OptionValue& value);

// nullopt: neither true nor false.
std::optional<bool> parse_bool(std::string_view text);

// Sets the option, or returns what is wrong with `text`.
std::string set_value(const Option& option, std::string_view text);

}  // namespace mdgan
