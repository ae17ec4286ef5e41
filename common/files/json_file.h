// Reads the small JSON files that a run's programs leave for each other.
// Anybody may have changed them: a field that is missing or of another type
// reads as if it were empty.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/files/json_depth.h"

namespace mdgan::json_file {

// The file's value; no object if it is not JSON, or nests too deep.
template <typename Json>
Json parsed(const std::vector<std::byte>& bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()),
                              bytes.size());
  if (!nests_at_most(text, kNestingOfRunFiles)) return {};
  return Json::parse(text, nullptr, /*allow_exceptions=*/false);
}

// Null if `object` is none, or has no such field.
template <typename Json>
const Json& field(const Json& object, const char* key) {
  static const Json null;
  if (!object.is_object()) return null;
  const auto found = object.find(key);
  return found == object.end() ? null : *found;
}

template <typename Json>
std::uint64_t number(const Json& value) {
  return value.is_number_unsigned() ? value.template get<std::uint64_t>() : 0;
}

template <typename Json>
std::optional<double> optional_real(const Json& value) {
  if (!value.is_number()) return std::nullopt;
  return value.template get<double>();
}

template <typename Json>
double real(const Json& value) {
  return optional_real(value).value_or(0);
}

template <typename Json>
bool truth(const Json& value) {
  return value.is_boolean() && value.template get<bool>();
}

template <typename Json>
std::string text(const Json& value) {
  return value.is_string() ? value.template get<std::string>() : std::string();
}

}  // namespace mdgan::json_file
