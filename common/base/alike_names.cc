#include "common/base/alike_names.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>

namespace mdgan {

std::string folded(std::string_view name) {
  // One spelling of blanks, too: a space.
  constexpr auto kOptions = static_cast<utf8proc_option_t>(
      UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD |
      UTF8PROC_IGNORE);
  utf8proc_uint8_t* mapped = nullptr;
  const utf8proc_ssize_t size = utf8proc_map(
      reinterpret_cast<const utf8proc_uint8_t*>(name.data()),
      static_cast<utf8proc_ssize_t>(name.size()), &mapped, kOptions);
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(
      mapped, &std::free);
  std::string result = size < 0
                           ? std::string(name)
                           : std::string(reinterpret_cast<const char*>(mapped),
                                         static_cast<std::size_t>(size));
  std::erase(result, ' ');
  return result;
}

std::optional<std::pair<std::string, std::string>> first_alike(
    const std::vector<std::string>& names) {
  std::map<std::string, std::string> spellings;  // by folded()
  for (const std::string& name : names)
    if (const auto [it, is_new] = spellings.emplace(folded(name), name);
        !is_new)
      return std::pair(it->second, name);
  return std::nullopt;
}

std::optional<std::string> lookalike(std::string_view name,
                                     const std::vector<std::string>& names) {
  const std::string same = folded(name);
  for (const std::string& other : names)
    if (other != name && folded(other) == same) return other;
  return std::nullopt;
}

}  // namespace mdgan
