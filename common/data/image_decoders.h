// What read_image() consists of: a decoder for each format, and what they
// share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/data/image_file.h"

namespace mdgan {

// Each fails like read_image(); `name` is the file's.
Result<Image> decode_png(std::span<const std::byte> bytes,
                         const std::string& name);
Result<Image> decode_jpeg(std::span<const std::byte> bytes,
                          const std::string& name);

Result<Image> decode_bmp(std::span<const std::byte> bytes,
                         const std::string& name);
Result<Image> decode_webp(std::span<const std::byte> bytes,
                          const std::string& name);
Result<Image> decode_tiff(std::span<const std::byte> bytes,
                          const std::string& name);

Error bad_image(std::string_view name, std::string_view what);

// Fails unless both sides are in [1, kMaxImageSide].
Result<void> check_size(std::string_view name, std::uint64_t width,
                        std::uint64_t height);

// An image with memory for its pixels.
Image make_image(std::uint32_t channels, std::uint32_t height,
                 std::uint32_t width);

// a * b / 255, rounded to the nearest.
constexpr std::uint8_t scaled(std::uint8_t a, std::uint8_t b) {
  return static_cast<std::uint8_t>((2U * a * b + 255U) / 510U);
}

// Makes an image of rows of pixels: `stride` values a pixel, of which the first
// `channels` are the colour; one more, if there is one, is its opacity.
Image image_of_rows(std::span<const std::uint8_t> rows, std::uint32_t stride,
                    std::uint32_t channels, std::uint32_t height,
                    std::uint32_t width);

// What an EXIF block of a JPEG file begins with; some writers of WebP put it,
// too.
inline constexpr std::string_view kExifMark("Exif\0\0", 6);

// EXIF's orientation in a TIFF structure, the content of an EXIF block after
// kExifMark; 1 (upright) if there is none or the block is damaged.
unsigned exif_orientation(std::span<const std::byte> tiff);

// Turns an image that is stored in one of EXIF's orientations upright. Values
// outside of [2, 8] change nothing.
void turn_upright(Image& image, unsigned orientation);

}  // namespace mdgan
