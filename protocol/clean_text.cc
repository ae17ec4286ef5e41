#include "protocol/clean_text.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace mdgan::protocol {
namespace {

constexpr char32_t kInvalid = 0xffffffff;

// The first character of `text`, which it takes off; kInvalid if there is none
// that is well-formed.
char32_t take_character(std::string_view& text) {
  const auto byte = [text](std::size_t at) -> char32_t {
    return at < text.size() ? static_cast<unsigned char>(text[at]) : 0U;
  };
  const char32_t lead = byte(0);
  const std::size_t length = lead < 0x80                    ? 1
                             : lead >= 0xc2 && lead <= 0xdf ? 2
                             : (lead & 0xf0U) == 0xe0       ? 3
                             : lead >= 0xf0 && lead <= 0xf4 ? 4
                                                            : 0;
  if (length == 0) return kInvalid;
  char32_t point = length == 1 ? lead : lead & (0x7fU >> length);
  for (std::size_t j = 1; j < length; ++j) {
    if ((byte(j) & 0xc0U) != 0x80) return kInvalid;
    point = (point << 6U) | (byte(j) & 0x3fU);
  }
  const bool overlong =
      (length == 3 && point < 0x800) || (length == 4 && point < 0x10000);
  if (overlong || point > 0x10ffff) return kInvalid;
  text.remove_prefix(length);
  return point;
}

// First and last; from Unicode 15's UnicodeData.txt.
constexpr std::pair<char32_t, char32_t> kUnseen[]{
    {0x0, 0x1f},        {0x7f, 0x9f},       {0xad, 0xad},
    {0x600, 0x605},     {0x61c, 0x61c},     {0x6dd, 0x6dd},
    {0x70f, 0x70f},     {0x890, 0x891},     {0x8e2, 0x8e2},
    {0x180e, 0x180e},   {0x200b, 0x200f},   {0x2028, 0x202e},
    {0x2060, 0x206f},   {0xd800, 0xdfff},   {0xfdd0, 0xfdef},
    {0xfeff, 0xfeff},   {0xfff0, 0xfffb},   {0x110bd, 0x110bd},
    {0x110cd, 0x110cd}, {0x13430, 0x1343f}, {0x1bca0, 0x1bca3},
    {0x1d173, 0x1d17a}, {0xe0000, 0xe00ff},
};

bool is_seen(char32_t point) {
  const bool noncharacter = (point & 0xfffeU) == 0xfffe;
  return point <= 0x10ffff && !noncharacter &&
         std::ranges::none_of(kUnseen, [point](const auto& range) {
           return point >= range.first && point <= range.second;
         });
}

}  // namespace

bool is_clean_text(std::string_view text) {
  while (!text.empty())
    if (!is_seen(take_character(text))) return false;
  return true;
}

std::string presentable(std::string text) {
  if (!is_clean_text(text))
    for (char& c : text)
      if (c < ' ' || c > '~') c = '?';
  return text;
}

}  // namespace mdgan::protocol
