// One PNG or JPEG file as pixels.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "common/base/result.h"

namespace mdgan {

struct Image {
  std::uint32_t channels = 0;  // 1: the file is grey; else 3: RGB
  std::uint32_t height = 0;
  std::uint32_t width = 0;
  std::vector<std::uint8_t> pixels;  // channels x height x width
};

// Whether the name ends in .png, .jpg or .jpeg, in upper or lower case.
bool has_image_name(const std::filesystem::path& path);

// Transparent pixels are laid on white; 16-bit PNGs are reduced to 8 bits.
// Fails with kData, naming the file, when it is damaged in any way or a side is
// longer than kMaxImageSide, which is checked before memory is allocated.
// REQUIRES: has_image_name(path).
Result<Image> read_image(const std::filesystem::path& path);

}  // namespace mdgan
