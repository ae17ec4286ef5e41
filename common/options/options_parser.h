// One parser for a program's flags, its environment and its configuration file.
// A program describes its options in one table; from it come the parsing, the
// --help, and the text of a configuration file. A flag beats the environment,
// the environment beats the file, the file beats the default. The variable of
// --round-timeout is MDGAN_ROUND_TIMEOUT; an empty one is as if it were not
// set. The file is Boost.Program_options' INI without sections; its keys are
// exactly the long flags.
//
// Every error has ExitCode::kUsage and names the flag or key.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "common/base/result.h"
#include "common/options/environment.h"
#include "protocol/training_spec.h"

namespace mdgan {

using Seconds = std::chrono::duration<double>;

// A value with a notation of its own, such as "0/4" or "1x28x28".
struct CustomValue {
  std::string expected;  // completes "must be ..."
  std::function<std::string()> get;
  std::function<bool(std::string_view)> set;  // false: not of that notation
};

// Where an option's value lives. Until parsing it holds the default.
using OptionValue =
    std::variant<bool*, std::int32_t*, std::uint32_t*, std::uint64_t*, double*,
                 Seconds*, std::string*, CustomValue>;

// ExitCode::kUsage with a message that may quote what the user gave: control
// characters become '?', and it is cut after 2,000 characters.
Error usage_error(std::string message);

// The closed interval a number must lie in. Whole numbers need one.
struct OptionRange {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
};

enum class Where { kFlagAndFile, kFlagOnly };

struct Option {
  std::string_view name;         // "swap-epochs": flag and key
  OptionValue value;             // not owned
  std::string_view placeholder;  // "SECONDS", in --help
  std::string_view help;         // what it does, with its unit
  OptionRange range = {};
  Where where = Where::kFlagAndFile;
};

struct OptionGroup {
  std::string_view title;
  std::vector<Option> options;
};

class OptionTable {
 public:
  // REQUIRES: names are unique.
  explicit OptionTable(std::vector<OptionGroup> groups);

  // Sets the values from `arguments` (without the program's name), from
  // `environment`, and from the files that `files`, called once those two are
  // known, names: the weakest first.
  Result<void> parse(
      std::span<const char* const> arguments, const Environment& environment,
      const std::function<std::vector<std::filesystem::path>()>& files);
  // Without files.
  Result<void> parse(std::span<const char* const> arguments,
                     const Environment& environment = {});

  // A warning for each variable that is no option's, but for those that other
  // programs and Kubernetes set.
  std::vector<std::string> unknown_in(const Environment& environment) const;

  // The options with their help, ranges and defaults, in 80 columns.
  std::string help() const;

  // A configuration file that holds the present values; parsing it gives the
  // same values again.
  std::string effective() const;

  // A configuration file that documents every key, each set to its default in a
  // comment.
  std::string template_file() const;

 private:
  struct Assignment {
    std::string name;
    std::string value;
  };
  Result<std::vector<Assignment>> read_flags(
      std::span<const char* const> arguments) const;
  Result<std::vector<Assignment>> read_file(
      const std::filesystem::path& file) const;
  Result<void> assign(const std::vector<Assignment>& assignments,
                      const std::string& origin);
  Result<void> assign(const Environment& environment);
  const Option* find(std::string_view name) const;
  std::string limits_and_default(const Option& option) const;

  std::vector<OptionGroup> groups_;
  std::vector<std::pair<std::string_view, std::string>> defaults_;
};

// One of the names of an enumeration, as protocol/training_spec.h lists them.
template <typename Enum, std::size_t N>
CustomValue one_of(
    Enum* value,
    const std::array<std::pair<Enum, std::string_view>, N>& names) {
  std::string expected = "one of ";
  for (std::size_t i = 0; i < N; ++i)
    expected += (i ? ", " : "") + std::string(names[i].second);
  return {expected, [=] { return std::string(name_of(names, *value)); },
          [=](std::string_view text) {
            const std::optional<Enum> found = value_of(names, text);
            if (found) *value = *found;
            return found.has_value();
          }};
}

}  // namespace mdgan
