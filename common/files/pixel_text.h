// Small text as pixels, for the margins of pictures.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace mdgan {

struct PixelText {
  std::size_t width = 0;
  std::size_t height = 0;
  std::vector<bool> ink;  // rows from the top
};

// One line of text in the font of stb_easy_font, which has the letters of ASCII
// alone: accents are left out, and what is beyond them becomes '?'. Text of
// more than 16 letters is cut, and ends in "..".
PixelText pixel_text(std::string_view utf8);

}  // namespace mdgan
