// One image file as pixels.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "common/base/result.h"

namespace mdgan {

// The lowest and the highest value of a file that has 16 bits a value.
struct Range16 {
  std::uint16_t lowest = 0;
  std::uint16_t highest = 0;
};

struct Image {
  std::uint32_t channels = 0;  // 1: the file is grey; else 3: RGB
  std::uint32_t height = 0;
  std::uint32_t width = 0;
  std::vector<std::uint8_t> pixels;  // channels x height x width
  std::optional<Range16> range16;    // before the reduction to 8 bits
};

// Whether the file is meant as an image: its name ends like one's, or it is a
// regular file that begins like one.
bool is_image_file(const std::filesystem::path& path);

// Reads a PNG, JPEG, WebP, TIFF (its first page) or BMP file; its first bytes
// decide which, not its name.
//   transparency  is laid on white, in the stored values
//   palettes      become RGB, or grey if each colour that is used is grey
//   16 bits       are reduced to 8: round(v / 257)
//   gAMA, iCCP    are not applied: the stored values count, as in Pillow and in
//                 the tools that train on images, so that they mean the same
//                 in each file of a data set
//   CMYK, YCCK    becomes RGB: (255 - c)(255 - k) / 255; files with Adobe's
//                 marker store 255 - c and 255 - k
//   orientation   EXIF's is applied
// Fails with kData, naming the file, when pixels are missing or damaged (bytes
// that are left over and a missing end mark do not matter), or when a side is
// longer than kMaxImageSide, which is checked before memory is allocated.
Result<Image> read_image(const std::filesystem::path& path);

}  // namespace mdgan
