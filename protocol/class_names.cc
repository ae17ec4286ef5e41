#include "protocol/class_names.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "protocol/clean_text.h"
#include "protocol/limits.h"

namespace mdgan {
namespace {

constexpr std::string_view kBlanks = " \t";
constexpr std::size_t kListedBytes = 160;

// The value of a decimal number without a sign or leading zeros.
std::optional<std::uint32_t> number_of(std::string_view text) {
  std::uint32_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || at != end || std::to_string(value) != text)
    return std::nullopt;
  return value;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

}  // namespace

std::string defect_of(const ClassNames& names) {
  if (names.size() > protocol::kMaxNamedClasses)
    return "there are " + std::to_string(names.size()) + ", more than " +
           std::to_string(protocol::kMaxNamedClasses);
  std::size_t bytes = 0;
  std::set<std::string_view> seen;
  for (const std::string& name : names) {
    if (name.empty()) return "a name is empty";
    if (!protocol::is_clean_text(name))
      return "the name '" + protocol::presentable(name) +
             "' is not UTF-8 without control and format characters";
    if (name.size() > protocol::kMaxClassName)
      return "the name '" + name.substr(0, 20) + "...' is longer than " +
             std::to_string(protocol::kMaxClassName) + " bytes";
    if (!seen.insert(name).second) return "two are named '" + name + "'";
    bytes += name.size();
  }
  if (bytes > protocol::kMaxClassNameBytes)
    return "their names have " + std::to_string(bytes) +
           " bytes together, more than " +
           std::to_string(protocol::kMaxClassNameBytes);
  return "";
}

ClassNames numbered_classes(std::uint32_t count) {
  ClassNames names;
  for (std::uint32_t i = 0; i < count; ++i) names.push_back(std::to_string(i));
  return names;
}

std::optional<ClassNames> parse_classes(std::string_view text) {
  if (const auto count = number_of(trimmed(text))) {
    if (*count > protocol::kMaxNamedClasses) return std::nullopt;
    return numbered_classes(*count);
  }
  ClassNames names;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    names.emplace_back(trimmed(text.substr(at, end - at)));
    at = end + 1;
  }
  if (!defect_of(names).empty()) return std::nullopt;
  return names;
}

std::string to_text(const ClassNames& names) {
  if (names.empty()) return "";
  if (names == numbered_classes(static_cast<std::uint32_t>(names.size())))
    return std::to_string(names.size());
  std::string text;
  for (const std::string& name : names)
    text += (text.empty() ? "" : ", ") + name;
  return text;
}

std::string listed(const ClassNames& names) {
  std::string text;
  for (const std::string& name : names) {
    if (!text.empty() && text.size() + name.size() > kListedBytes)
      return text + ", ... (" + std::to_string(names.size()) + " in all)";
    const bool has_comma = name.find(',') != name.npos;
    text += (text.empty() ? "" : ", ") + (has_comma ? "'" + name + "'" : name);
  }
  return text;
}

ClassNames union_of(std::span<const ClassNames> lists) {
  if (lists.empty()) return {};
  if (std::ranges::all_of(
          lists, [&](const ClassNames& list) { return list == lists[0]; }))
    return lists[0];
  const auto rank = [](const std::string& name) {
    const auto number = number_of(name);
    return std::tuple(!number, number.value_or(0), name);
  };
  std::set<std::tuple<bool, std::uint32_t, std::string>> ranked;
  for (const ClassNames& list : lists)
    for (const std::string& name : list) ranked.insert(rank(name));
  ClassNames names;
  for (const auto& entry : ranked) names.push_back(std::get<2>(entry));
  return names;
}

std::vector<std::optional<std::uint32_t>> places(const ClassNames& names,
                                                 const ClassNames& list) {
  std::map<std::string_view, std::uint32_t> place;
  for (std::uint32_t i = 0; i < list.size(); ++i) place.emplace(list[i], i);
  std::vector<std::optional<std::uint32_t>> result;
  for (const std::string& name : names) {
    const auto found = place.find(name);
    result.push_back(found == place.end() ? std::nullopt
                                          : std::optional(found->second));
  }
  return result;
}

std::optional<std::uint32_t> place_of(std::string_view text,
                                      const ClassNames& list) {
  const auto named = std::ranges::find(list, text);
  if (named != list.end())
    return static_cast<std::uint32_t>(named - list.begin());
  const auto number = number_of(text);
  if (!number || *number >= list.size()) return std::nullopt;
  return number;
}

std::optional<std::string> first_not_in(const ClassNames& names,
                                        const ClassNames& list) {
  const auto where = places(names, list);
  for (std::size_t i = 0; i < where.size(); ++i)
    if (!where[i]) return names[i];
  return std::nullopt;
}

}  // namespace mdgan
