// Small text as pixels, for the margins of pictures.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

namespace mdgan {

struct PixelText {
  std::size_t width = 0;
  std::size_t height = 0;
  std::vector<bool> ink;  // rows from the top
};

// One line of text in the font of stb_easy_font, which has the letters of ASCII
// alone: accents are left out, and there is no text of what has other letters.
// Of more than 16 letters ".." stands for those in the middle.
std::optional<PixelText> pixel_text(std::string_view utf8);

}  // namespace mdgan
