// PNG files, written and failing like write_output() in output_file.h.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "common/base/result.h"
#include "common/tensor/blob.h"

namespace mdgan {

// `pixels`: rows from the top, channels (1: grey, 3: RGB) together.
// REQUIRES: channels is 1 or 3; pixels.size() == width * height * channels.
Result<void> write_png(const std::filesystem::path& path, std::uint32_t width,
                       std::uint32_t height, std::uint32_t channels,
                       std::span<const std::uint8_t> pixels);

// Images side by side, `columns` in a row, from the top left, on white with two
// pixels between and around them. `images`: [n, c, h, w] float32; -1 becomes
// black and 1 full; what lies outside is clamped. `names` stand above the
// columns; all are turned by a quarter where one is wider than an image. They
// are left out where pixel_text() has none of one, or a line is higher than an
// image is wide.
// REQUIRES: c is 1 or 3; n and columns at least 1; a name a column, or none.
Result<void> write_image_grid(const std::filesystem::path& path,
                              const Blob& images, std::uint32_t columns,
                              std::span<const std::string> names = {});

}  // namespace mdgan
