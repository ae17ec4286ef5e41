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
#include <string_view>
#include <vector>

#include "common/data/image_decoders.h"

namespace mdgan {
namespace {

// How the pixels of a file are stored.
constexpr std::uint32_t kPlain = 0;
constexpr std::uint32_t kRunLengths8 = 1;
constexpr std::uint32_t kRunLengths4 = 2;
constexpr std::uint32_t kMasks = 3;

// Of the file's header: what stands before the pixels.
class Header {
 public:
  static constexpr std::size_t kFile = 14;  // before the header that has a size
  static constexpr std::uint32_t kOs2 = 12;     // the oldest, with short sides
  static constexpr std::uint32_t kCommon = 40;  // what all others begin with

  explicit Header(std::span<const std::byte> bytes) : bytes_(bytes) {}

  std::uint32_t size() const { return number(kFile, 4); }
  bool is_os2() const { return size() == kOs2; }
  std::uint32_t bits() const { return number(is_os2() ? 24 : 28, 2); }
  std::uint32_t how() const { return is_os2() ? kPlain : number(30, 4); }
  std::uint32_t first_pixel() const { return number(10, 4); }
  std::uint32_t width() const {
    return is_os2() ? number(18, 2) : number(18, 4);
  }
  // As it stands there: negative where the rows come from the top.
  std::uint32_t height() const {
    return is_os2() ? number(20, 2) : number(22, 4);
  }
  // Only what has a mask for it is meant as opacity.
  bool has_opacity() const {
    return size() >= 56 && how() == kMasks && number(66, 4) != 0;
  }
  bool has_palette() const { return bits() == 1 || bits() == 4 || bits() == 8; }
  // Whether the file ends before the pixels do, which stb takes for zeros.
  bool is_cut(std::uint64_t height, std::uint64_t width) const {
    const std::uint64_t row = (bits() * width + 31) / 32 * 4;
    const std::uint64_t last = (bits() * width + 7) / 8;
    return first_pixel() + (height - 1) * row + last > bytes_.size();
  }
  // The number of colours in the palette.
  std::size_t colours() const {
    const std::size_t begin = kFile + size();
    const std::size_t end = std::min<std::size_t>(first_pixel(), bytes_.size());
    const std::size_t most = std::size_t{1} << bits();
    const std::size_t told = is_os2() ? 0 : number(46, 4);
    return std::min({told > 0 ? told : most, most,
                     end < begin ? 0 : (end - begin) / colour_bytes()});
  }
  // The colours, each blue, green, red and 0, and black ones after them: as
  // many as the bits of a pixel tell apart.
  std::vector<std::byte> palette() const {
    std::vector<std::byte> all(std::size_t{4} << bits());
    for (std::size_t i = 0; i < colours(); ++i)
      std::ranges::copy(bytes_.subspan(kFile + size() + i * colour_bytes(), 3),
                        &all[4 * i]);
    return all;
  }
  // Whether a pixel has a colour that the palette does not. REQUIRES: the
  // pixels are all there.
  bool points_beyond(std::size_t height, std::size_t width) const {
    const std::size_t row = (bits() * width + 31) / 32 * 4;
    const std::size_t mask = (std::size_t{1} << bits()) - 1;
    const std::size_t count = colours();
    for (std::size_t y = 0; y < height; ++y)
      for (std::size_t x = 0; x < width; ++x) {
        const std::size_t bit = x * bits();
        const auto byte = std::to_integer<std::size_t>(
            bytes_[first_pixel() + y * row + bit / 8]);
        if ((byte >> (8 - bits() - bit % 8) & mask) >= count) return true;
      }
    return false;
  }

 private:
  std::size_t colour_bytes() const { return is_os2() ? 3 : 4; }
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

// The same picture in the form in which stb reads it right: stb concludes from
// where the pixels begin how long the palette is, refuses gaps before them, and
// takes colours beyond the palette from memory that nobody has written to.
// REQUIRES: pixels stored plainly, of 1, 4, 8 or 24 bits, which begin in the
// file.
std::vector<std::byte> common_form(const Header& header,
                                   std::span<const std::byte> bytes) {
  std::vector<std::byte> palette;
  if (header.has_palette()) palette = header.palette();
  const auto pixels = bytes.subspan(header.first_pixel());
  std::vector<std::byte> file;
  const auto put = [&file](std::uint64_t value, int count) {
    for (; count > 0; --count, value >>= 8)
      file.push_back(static_cast<std::byte>(value));
  };
  const std::size_t begin = Header::kFile + Header::kCommon + palette.size();
  put('B' | 'M' << 8, 2);
  put(begin + pixels.size(), 4);
  put(0, 4);
  put(begin, 4);
  put(Header::kCommon, 4);
  put(header.width(), 4);
  put(header.height(), 4);
  put(1, 2);  // planes
  put(header.bits(), 2);
  put(kPlain, 4);
  put(0, 20);  // sizes, and how many colours: all
  file.insert(file.end(), palette.begin(), palette.end());
  file.insert(file.end(), pixels.begin(), pixels.end());
  return file;
}

}  // namespace

Result<Image> decode_bmp(std::span<const std::byte> bytes,
                         const std::string& name) {
  const Header header(bytes);
  const auto unread = [&name](std::string_view kind) {
    return bad_image(
        name, fmt::format("is a BMP file {}, and others are read", kind));
  };
  if (header.how() == kRunLengths8 || header.how() == kRunLengths4)
    return unread("in run lengths");
  // Programs differ in what such colours are in 8 bits.
  if (header.bits() == 16) return unread("of 16 bits a pixel");
  if (header.how() > kMasks) return unread("that holds one of another format");
  const auto damaged = [&] {
    return bad_image(name,
                     fmt::format("damaged BMP file of {} bytes", bytes.size()));
  };
  if (bytes.size() > INT_MAX || header.first_pixel() > bytes.size())
    return damaged();
  std::vector<std::byte> common;
  auto file = bytes;
  if (header.how() == kPlain && (header.has_palette() || header.bits() == 24))
    file = common = common_form(header, bytes);
  const auto* data = reinterpret_cast<const stbi_uc*>(file.data());
  int width = 0;
  int height = 0;
  int stored = 0;
  const auto size = static_cast<int>(file.size());
  if (stbi_info_from_memory(data, size, &width, &height, &stored) == 0)
    return damaged();
  // Negative where the rows come from the top.
  const auto rows = static_cast<std::uint32_t>(std::abs(std::int64_t{height}));
  const auto columns = static_cast<std::uint32_t>(width);
  if (const auto fits = check_size(name, columns, rows); !fits)
    return fits.error();
  if (header.is_cut(rows, columns) ||
      (header.has_palette() && header.points_beyond(rows, columns)))
    return damaged();
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
