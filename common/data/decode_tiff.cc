#include <spdlog/fmt/fmt.h>
#include <tiffio.h>

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "common/data/image_decoders.h"

namespace mdgan {
namespace {

// The largest image takes 64 MiB as the library hands it over; 16 bits take
// twice as much.
constexpr tmsize_t kMostBytes = tmsize_t{256} << 20;

// A file in memory, and what the library complains of first.
struct Source {
  std::span<const std::byte> bytes;
  std::size_t at = 0;
  std::array<char, 128> message{};
};

Source& source_of(thandle_t handle) { return *static_cast<Source*>(handle); }

tmsize_t read(thandle_t handle, void* to, tmsize_t size) {
  Source& source = source_of(handle);
  if (size <= 0 || source.at >= source.bytes.size()) return 0;
  const std::size_t count =
      std::min(static_cast<std::size_t>(size), source.bytes.size() - source.at);
  std::memcpy(to, source.bytes.data() + source.at, count);
  source.at += count;
  return static_cast<tmsize_t>(count);
}

toff_t seek(thandle_t handle, toff_t offset, int whence) {
  Source& source = source_of(handle);
  const std::size_t from = whence == SEEK_SET   ? 0
                           : whence == SEEK_CUR ? source.at
                                                : source.bytes.size();
  source.at = from + offset;
  return source.at;
}

int keep_message(TIFF*, void* user, const char*, const char* format,
                 va_list values) {
  auto& message = source_of(user).message;
  if (message[0] == '\0')
    std::vsnprintf(message.data(), message.size(), format, values);
  return 1;
}

int ignore(TIFF*, void*, const char*, const char*, va_list) { return 1; }

using Tiff = std::unique_ptr<TIFF, void (*)(TIFF*)>;

Tiff open(Source& source) {
  const std::unique_ptr<TIFFOpenOptions, void (*)(TIFFOpenOptions*)> options(
      TIFFOpenOptionsAlloc(), &TIFFOpenOptionsFree);
  TIFFOpenOptionsSetMaxSingleMemAlloc(options.get(), kMostBytes);
  TIFFOpenOptionsSetErrorHandlerExtR(options.get(), &keep_message, &source);
  TIFFOpenOptionsSetWarningHandlerExtR(options.get(), &ignore, nullptr);
  TIFF* tiff = TIFFClientOpenExt(
      "", "rm", &source, &read,
      [](thandle_t, void*, tmsize_t) { return tmsize_t{0}; }, &seek,
      [](thandle_t) { return 0; },
      [](thandle_t handle) { return toff_t{source_of(handle).bytes.size()}; },
      nullptr, nullptr, options.get());
  return {tiff, &TIFFClose};
}

// Reads the values of a file with 16 bits a value, of which the library's RGBA
// keeps the upper 8; grey ones are rounded into `image`. Nothing for tiles and
// separate planes.
std::optional<Range16> read_16_bits(TIFF* tiff, std::uint16_t planes,
                                    bool black_is_0, Image& image) {
  if (TIFFIsTiled(tiff) != 0 || planes != PLANARCONFIG_CONTIG) return {};
  const tmsize_t size = TIFFScanlineSize(tiff);
  if (size <= 0 || size > kMostBytes) return {};
  std::vector<std::uint16_t> row((static_cast<std::size_t>(size) + 1) / 2);
  Range16 range{0xFFFF, 0};
  for (std::uint32_t y = 0; y < image.height; ++y) {
    if (TIFFReadScanline(tiff, row.data(), y, 0) != 1) return {};
    const auto [low, high] = std::ranges::minmax(row);
    range.lowest = std::min(range.lowest, low);
    range.highest = std::max(range.highest, high);
    if (image.channels != 1 || row.size() != image.width) continue;
    std::uint8_t* to = image.pixels.data() + std::size_t{y} * image.width;
    for (const std::uint16_t value : row)
      *to++ = static_cast<std::uint8_t>(
          ((black_is_0 ? value : 0xFFFF - value) + 128) / 257);
  }
  return range;
}

}  // namespace

Result<Image> decode_tiff(std::span<const std::byte> bytes,
                          const std::string& name) {
  Source source{bytes};
  const auto damaged = [&] {
    return bad_image(
        name, fmt::format("damaged TIFF file of {} bytes, or of a kind that is "
                          "not read ({})",
                          bytes.size(), source.message.data()));
  };
  const Tiff tiff = open(source);
  if (!tiff) return damaged();
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  TIFFGetField(tiff.get(), TIFFTAG_IMAGEWIDTH, &width);
  TIFFGetField(tiff.get(), TIFFTAG_IMAGELENGTH, &height);
  if (const auto size = check_size(name, width, height); !size)
    return size.error();
  std::uint16_t bits = 1;
  std::uint16_t kind = PHOTOMETRIC_MINISBLACK;
  std::uint16_t planes = PLANARCONFIG_CONTIG;
  std::uint16_t orientation = ORIENTATION_TOPLEFT;
  TIFFGetFieldDefaulted(tiff.get(), TIFFTAG_BITSPERSAMPLE, &bits);
  TIFFGetField(tiff.get(), TIFFTAG_PHOTOMETRIC, &kind);
  std::uint16_t format = SAMPLEFORMAT_UINT;
  TIFFGetFieldDefaulted(tiff.get(), TIFFTAG_SAMPLEFORMAT, &format);
  // The library would read signed values as large ones.
  if (format != SAMPLEFORMAT_UINT && format != SAMPLEFORMAT_VOID)
    return bad_image(name,
                     "its values are signed, or no integers; convert it to "
                     "unsigned values of 8 or 16 bits");
  TIFFGetFieldDefaulted(tiff.get(), TIFFTAG_PLANARCONFIG, &planes);
  TIFFGetFieldDefaulted(tiff.get(), TIFFTAG_ORIENTATION, &orientation);
  std::vector<std::uint32_t> raster(std::size_t{width} * height);
  // Rows as they are stored: the library turns by half turns alone.
  if (TIFFReadRGBAImageOriented(tiff.get(), width, height, raster.data(),
                                orientation, /*stopOnError=*/1) == 0)
    return damaged();
  const bool grey =
      kind == PHOTOMETRIC_MINISBLACK || kind == PHOTOMETRIC_MINISWHITE;
  Image image = make_image(grey ? 1 : 3, height, width);
  // The colours are multiplied by the opacity already.
  for (std::size_t c = 0, to = 0; c < image.channels; ++c)
    for (const std::uint32_t pixel : raster)
      image.pixels[to++] = static_cast<std::uint8_t>(
          std::min(255U, (pixel >> (8 * c) & 0xFF) + (255 - (pixel >> 24))));
  if (bits == 16) {
    Source again{bytes};  // lines are read from a fresh start alone
    if (const Tiff lines = open(again))
      image.range16 = read_16_bits(lines.get(), planes,
                                   kind != PHOTOMETRIC_MINISWHITE, image);
  }
  turn_upright(image, orientation);
  return image;
}

}  // namespace mdgan
