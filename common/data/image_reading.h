// What is done to the images of a data set while they are read.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

namespace mdgan {

// What becomes of an image of another size than the one that is wanted.
enum class Fit {
  kError,  // it is refused
  kCrop,   // it is scaled until it covers the size; what juts out is cut off
  kPad,    // it is scaled until it lies within the size, on black
};
inline constexpr std::array kFitNames{
    std::pair{Fit::kError, std::string_view("error")},
    std::pair{Fit::kCrop, std::string_view("crop")},
    std::pair{Fit::kPad, std::string_view("pad")}};

struct ImageReading {
  std::uint32_t height = 0;  // 0: the images' own size
  std::uint32_t width = 0;   // 0 where height is
  Fit fit = Fit::kError;
  std::uint32_t channels = 0;  // 1: grey; 3: RGB; 0: the images' own
  bool skip_bad = false;  // leave out files of a folder that cannot be read
  bool has_size() const { return height > 0; }
  friend bool operator==(const ImageReading&, const ImageReading&) = default;
};

}  // namespace mdgan
