#include "common/files/pixel_text.h"

#include <stb/stb_easy_font.h>
#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <string>

namespace mdgan {
namespace {

constexpr std::size_t kMostLetters = 16;
constexpr std::size_t kHeight = 10;  // of the font, with what hangs below
// A letter consists of fewer rectangles than this.
constexpr std::size_t kMostRectangles = 32;

struct Corner {
  float x, y, z;
  std::array<unsigned char, 4> colour;
};
using Rectangle = std::array<Corner, 4>;

std::optional<std::string> ascii_of(std::string_view utf8) {
  constexpr auto kOptions = static_cast<utf8proc_option_t>(
      UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT | UTF8PROC_STRIPMARK);
  utf8proc_uint8_t* mapped = nullptr;
  const utf8proc_ssize_t size = utf8proc_map(
      reinterpret_cast<const utf8proc_uint8_t*>(utf8.data()),
      static_cast<utf8proc_ssize_t>(utf8.size()), &mapped, kOptions);
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(
      mapped, &std::free);
  const std::string_view plain =
      size < 0 ? utf8
               : std::string_view(reinterpret_cast<const char*>(mapped),
                                  static_cast<std::size_t>(size));
  const auto is_ascii = [](char c) { return c >= ' ' && c <= '~'; };
  if (!std::ranges::all_of(plain, is_ascii)) return std::nullopt;
  return std::string(plain);
}

}  // namespace

std::optional<PixelText> pixel_text(std::string_view utf8) {
  auto ascii = ascii_of(utf8);
  if (!ascii) return std::nullopt;
  std::string& text = *ascii;
  constexpr std::size_t kHalf = kMostLetters / 2 - 1;
  if (text.size() > kMostLetters)
    text.replace(kHalf, text.size() - 2 * kHalf, "..");
  std::vector<Rectangle> rectangles(text.size() * kMostRectangles);
  const int count = stb_easy_font_print(
      0, 0, text.data(), nullptr, rectangles.data(),
      static_cast<int>(rectangles.size() * sizeof(Rectangle)));
  rectangles.resize(static_cast<std::size_t>(count));
  PixelText pixels;
  pixels.height = kHeight;
  for (const Rectangle& r : rectangles)
    pixels.width = std::max(pixels.width, static_cast<std::size_t>(r[2].x));
  pixels.ink.resize(pixels.width * kHeight);
  for (const Rectangle& r : rectangles)
    for (auto y = static_cast<std::size_t>(r[0].y);
         y < std::min(static_cast<std::size_t>(r[2].y), kHeight); ++y)
      for (auto x = static_cast<std::size_t>(r[0].x);
           x < static_cast<std::size_t>(r[2].x); ++x)
        pixels.ink[y * pixels.width + x] = true;
  return pixels;
}

}  // namespace mdgan
