#include "common/data/image_decoders.h"

#include <spdlog/fmt/fmt.h>

#include <utility>

#include "protocol/clean_text.h"
#include "protocol/limits.h"

namespace mdgan {

Error bad_image(std::string_view name, std::string_view what) {
  return {fmt::format("{}: {}; remove or replace it",
                      protocol::presentable(std::string(name)), what),
          ExitCode::kData};
}

Result<void> check_size(std::string_view name, std::uint64_t width,
                        std::uint64_t height) {
  const auto is_side = [](std::uint64_t side) {
    return side >= 1 && side <= protocol::kMaxImageSide;
  };
  if (is_side(width) && is_side(height)) return {};
  return bad_image(
      name, fmt::format("is {}x{} (height x width), but both sides must be in "
                        "[1, {}]",
                        height, width, protocol::kMaxImageSide));
}

Image make_image(std::uint32_t channels, std::uint32_t height,
                 std::uint32_t width) {
  return {channels, height, width,
          std::vector<std::uint8_t>(std::size_t{channels} * height * width),
          std::nullopt};
}

Image image_of_rows(std::span<const std::uint8_t> rows, std::uint32_t stride,
                    std::uint32_t channels, std::uint32_t height,
                    std::uint32_t width) {
  Image image = make_image(channels, height, width);
  const std::size_t area = std::size_t{height} * width;
  for (std::size_t c = 0; c < channels; ++c) {
    std::uint8_t* plane = image.pixels.data() + c * area;
    if (stride == channels) {
      for (std::size_t i = 0; i < area; ++i) plane[i] = rows[i * stride + c];
      continue;
    }
    for (std::size_t i = 0; i < area; ++i) {
      const std::uint8_t opacity = rows[i * stride + channels];
      const auto darkness =
          static_cast<std::uint8_t>(255 - rows[i * stride + c]);
      plane[i] = static_cast<std::uint8_t>(255 - scaled(darkness, opacity));
    }
  }
  return image;
}

unsigned exif_orientation(std::span<const std::byte> tiff) {
  constexpr unsigned kUpright = 1;
  constexpr std::uint32_t kOrientation = 0x0112;
  constexpr std::size_t kEntry = 12;
  if (tiff.size() < 8) return kUpright;
  const bool little = tiff[0] == std::byte{'I'};
  // REQUIRES: the bytes exist.
  const auto number = [&](std::size_t at, std::size_t bytes) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < bytes; ++i)
      value = (value << 8) | std::to_integer<std::uint32_t>(
                                 tiff[at + (little ? bytes - 1 - i : i)]);
    return value;
  };
  const std::size_t directory = number(4, 4);
  if (directory > tiff.size() - 2) return kUpright;
  const std::size_t entries = number(directory, 2);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t at = directory + 2 + i * kEntry;
    if (at + kEntry > tiff.size()) break;
    // A SHORT; some write a LONG.
    constexpr std::uint32_t kLong = 4;
    if (number(at, 2) == kOrientation)
      return number(at + 8, number(at + 2, 2) == kLong ? 4 : 2);
  }
  return kUpright;
}

void turn_upright(Image& image, unsigned orientation) {
  if (orientation < 2 || orientation > 8) return;
  const bool transposed = orientation >= 5;
  Image turned =
      make_image(image.channels, transposed ? image.width : image.height,
                 transposed ? image.height : image.width);
  turned.range16 = image.range16;
  // Whether the stored columns run from right to left in the upright image, and
  // the stored rows from the bottom up.
  const bool right_to_left = orientation == 2 || orientation == 3 ||
                             orientation == 7 || orientation == 8;
  const bool bottom_up = orientation == 3 || orientation == 4 ||
                         orientation == 6 || orientation == 7;
  std::size_t to = 0;
  for (std::size_t c = 0; c < turned.channels; ++c)
    for (std::size_t y = 0; y < turned.height; ++y)
      for (std::size_t x = 0; x < turned.width; ++x) {
        std::size_t column = transposed ? y : x;
        std::size_t row = transposed ? x : y;
        if (right_to_left) column = image.width - 1 - column;
        if (bottom_up) row = image.height - 1 - row;
        turned.pixels[to++] =
            image.pixels[(c * image.height + row) * image.width + column];
      }
  image = std::move(turned);
}

}  // namespace mdgan
