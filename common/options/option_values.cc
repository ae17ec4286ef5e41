#include "common/options/option_values.h"

#include <spdlog/fmt/fmt.h>

#include <array>
#include <charconv>
#include <cstdint>
#include <system_error>
#include <type_traits>
#include <variant>

namespace mdgan {
namespace {

template <typename... Visitors>
struct Overloaded : Visitors... {
  using Visitors::operator()...;
};
template <typename... Visitors>
Overloaded(Visitors...) -> Overloaded<Visitors...>;

template <typename T>
std::optional<T> parse_number(std::string_view text) {
  T value{};
  const char* const end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value);
  if (result.ec != std::errc{} || result.ptr != end) return std::nullopt;
  return value;
}

// Parses `text` as a T within the option's range, or says what is wrong.
template <typename T>
std::string set_number(const Option& option, std::string_view text, T* target) {
  constexpr bool kWhole = std::is_integral_v<T>;
  const auto value =
      parse_number<std::conditional_t<kWhole, std::int64_t, double>>(text);
  if (!value)
    return fmt::format("{} must be a {}, but is '{}'", option.name,
                       kWhole ? "whole number" : "number", text);
  const double real = static_cast<double>(*value);
  if (!(real >= option.range.low && real <= option.range.high))
    return fmt::format("{} must be in [{}, {}], but is {}", option.name,
                       number(option.range.low), number(option.range.high),
                       text);
  *target = static_cast<T>(*value);
  return {};
}

std::string set_string(const Option& option, std::string_view text,
                       std::string* target) {
  // The value must survive being written to a file and read again.
  if (text.find_first_of("#\n\r") != text.npos)
    return fmt::format(
        "{} must not contain '#' or a line break: a configuration file cannot "
        "hold them",
        option.name);
  *target = text;
  return {};
}

}  // namespace

std::string number(double value) {
  std::array<char, 400> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(),
                                 value, std::chars_format::fixed);
  return {buffer.data(), end.ptr};
}

std::string text_of(const OptionValue& value) {
  return std::visit(
      Overloaded{
          [](const bool* v) { return std::string(*v ? "true" : "false"); },
          [](const double* v) { return number(*v); },
          [](const Seconds* v) { return number(v->count()); },
          [](const std::string* v) { return *v; },
          [](const CustomValue& v) { return v.get(); },
          [](const auto* v) { return std::to_string(*v); },
      },
      value);
}

std::optional<bool> parse_bool(std::string_view text) {
  for (const auto* yes : {"true", "yes", "on", "1"})
    if (text == yes) return true;
  for (const auto* no : {"false", "no", "off", "0"})
    if (text == no) return false;
  return std::nullopt;
}

std::string set_value(const Option& option, std::string_view text) {
  return std::visit(
      Overloaded{
          [&](bool* target) -> std::string {
            const std::optional<bool> value = parse_bool(text);
            if (!value)
              return fmt::format("{} must be true or false, but is '{}'",
                                 option.name, text);
            *target = *value;
            return {};
          },
          [&](Seconds* target) {
            double seconds = 0;
            std::string wrong = set_number(option, text, &seconds);
            if (wrong.empty()) *target = Seconds(seconds);
            return wrong;
          },
          [&](std::string* target) { return set_string(option, text, target); },
          [&](const CustomValue& target) -> std::string {
            if (target.set(text)) return {};
            return fmt::format("{} must be {}, but is '{}'", option.name,
                               target.expected, text);
          },
          [&](auto* target) { return set_number(option, text, target); },
      },
      option.value);
}

}  // namespace mdgan
