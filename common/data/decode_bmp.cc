// stb's functions are static, so that they are this file's alone.
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#define STBI_NO_FAILURE_STRINGS
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb/stb_image.h>
#pragma GCC diagnostic pop

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <memory>

#include "common/data/image_decoders.h"

namespace mdgan {
namespace {

// Of the file's header: what stands before the pixels.
class Header {
 public:
  explicit Header(std::span<const std::byte> bytes) : bytes_(bytes) {}

  bool is_compressed() const {
    constexpr std::uint32_t kRunLengths8 = 1;
    constexpr std::uint32_t kRunLengths4 = 2;
    const auto how = number(30, 4);
    return size() >= 40 && (how == kRunLengths8 || how == kRunLengths4);
  }
  // Only what has a mask for it is meant as opacity.
  bool has_opacity() const {
    constexpr std::uint32_t kMasks = 3;
    return size() >= 56 && number(30, 4) == kMasks && number(66, 4) != 0;
  }
  bool has_palette() const { return bits() <= 8; }
  bool has_sixteen_bits() const { return bits() == 16; }
  // Whether the file ends before the pixels do, which stb takes for zeros.
  bool is_cut(std::uint64_t height, std::uint64_t width) const {
    const std::uint64_t row = (bits() * width + 31) / 32 * 4;
    const std::uint64_t last = (bits() * width + 7) / 8;
    return number(10, 4) + (height - 1) * row + last > bytes_.size();
  }

 private:
  static constexpr std::size_t kFileHeader = 14;

  std::uint32_t size() const { return number(kFileHeader, 4); }
  std::uint32_t bits() const { return number(size() >= 40 ? 28 : 24, 2); }
  // Little-endian; 0 beyond the end.
  std::uint32_t number(std::size_t at, std::size_t count) const {
    if (at + count > bytes_.size()) return 0;
    std::uint32_t value = 0;
    for (std::size_t i = count; i > 0; --i)
      value = value << 8 | std::to_integer<std::uint32_t>(bytes_[at + i - 1]);
    return value;
  }

  std::span<const std::byte> bytes_;
};

}  // namespace

Result<Image> decode_bmp(std::span<const std::byte> bytes,
                         const std::string& name) {
  const Header header(bytes);
  if (header.is_compressed())
    return bad_image(name, "is a BMP file in run lengths, and others are read");
  // Programs differ in what such colours are in 8 bits.
  if (header.has_sixteen_bits())
    return bad_image(name,
                     "is a BMP file of 16 bits a pixel, and others are read");
  const auto* data = reinterpret_cast<const stbi_uc*>(bytes.data());
  int width = 0;
  int height = 0;
  int stored = 0;
  const auto damaged = [&] {
    return bad_image(name,
                     fmt::format("damaged BMP file of {} bytes", bytes.size()));
  };
  if (bytes.size() > INT_MAX) return damaged();
  const auto size = static_cast<int>(bytes.size());
  if (stbi_info_from_memory(data, size, &width, &height, &stored) == 0)
    return damaged();
  // Negative where the rows come from the top.
  const auto rows = static_cast<std::uint32_t>(std::abs(std::int64_t{height}));
  const auto columns = static_cast<std::uint32_t>(width);
  if (const auto fits = check_size(name, columns, rows); !fits)
    return fits.error();
  if (header.is_cut(rows, columns)) return damaged();
  const std::uint32_t stride = header.has_opacity() ? 4 : 3;
  const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
      stbi_load_from_memory(data, size, &width, &height, &stored,
                            static_cast<int>(stride)),
      &stbi_image_free);
  if (!pixels) return damaged();
  Image image =
      image_of_rows({pixels.get(), std::size_t{stride} * rows * columns},
                    stride, 3, rows, columns);
  const std::size_t area = std::size_t{rows} * columns;
  const auto plane = [&](std::size_t c) {
    return std::span(image.pixels).subspan(c * area, area);
  };
  if (header.has_palette() && std::ranges::equal(plane(0), plane(1)) &&
      std::ranges::equal(plane(0), plane(2))) {
    image.channels = 1;
    image.pixels.resize(area);
  }
  return image;
}

}  // namespace mdgan
