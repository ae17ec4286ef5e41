#include <spdlog/fmt/fmt.h>
#include <tiffio.h>

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "common/base/words.h"
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
  // It does not say what its samples after the colours are: the library has
  // made something of it.
  bool extra_is_guessed = false;
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

// The library only reads what is mapped. Without a map libtiff 4.5 refuses
// tiles that are not compressed unless they are of whole KiB.
int map(thandle_t handle, void** base, toff_t* size) {
  const auto bytes = source_of(handle).bytes;
  *base = const_cast<std::byte*>(bytes.data());
  *size = bytes.size();
  return 1;
}

int keep_error(TIFF*, void* user, const char*, const char* format,
               va_list values) {
  auto& message = source_of(user).message;
  if (message[0] == '\0')
    std::vsnprintf(message.data(), message.size(), format, values);
  return 1;
}

// Whether a decoder warns of pixels that it has made up, rather than of
// something that changes none.
bool tells_of_damage(std::string_view module, std::string_view text) {
  return module.starts_with("Fax") || module.starts_with("PackBits") ||
         (module == "JPEGLib" && (text.find("Premature") != text.npos ||
                                  (text.find("Corrupt") != text.npos &&
                                   text.find("extraneous") == text.npos)));
}

// The library goes on after a warning.
int keep_warning(TIFF*, void* user, const char* module, const char* format,
                 va_list values) {
  Source& source = source_of(user);
  std::array<char, 128> text{};
  std::vsnprintf(text.data(), text.size(), format, values);
  const std::string_view words = text.data();
  if (words.find("ExtraSamples") != words.npos) source.extra_is_guessed = true;
  if (source.message[0] == '\0' && module != nullptr &&
      tells_of_damage(module, words))
    source.message = text;
  return 1;
}

using Tiff = std::unique_ptr<TIFF, void (*)(TIFF*)>;

Tiff open(Source& source) {
  const std::unique_ptr<TIFFOpenOptions, void (*)(TIFFOpenOptions*)> options(
      TIFFOpenOptionsAlloc(), &TIFFOpenOptionsFree);
  TIFFOpenOptionsSetMaxSingleMemAlloc(options.get(), kMostBytes);
  TIFFOpenOptionsSetErrorHandlerExtR(options.get(), &keep_error, &source);
  TIFFOpenOptionsSetWarningHandlerExtR(options.get(), &keep_warning, &source);
  TIFF* tiff = TIFFClientOpenExt(
      "", "r", &source, &read,
      [](thandle_t, void*, tmsize_t) { return tmsize_t{0}; }, &seek,
      [](thandle_t) { return 0; },
      [](thandle_t handle) { return toff_t{source_of(handle).bytes.size()}; },
      &map, [](thandle_t, void*, toff_t) {}, options.get());
  return {tiff, &TIFFClose};
}

template <typename Value>
Value tag(const Tiff& tiff, std::uint32_t name, Value otherwise) {
  Value value{};
  return TIFFGetFieldDefaulted(tiff.get(), name, &value) == 1 ? value
                                                              : otherwise;
}

// What a file says of its samples.
struct Layout {
  Layout(const Tiff& tiff, bool extra_is_guessed)
      : width(tag<std::uint32_t>(tiff, TIFFTAG_IMAGEWIDTH, 0)),
        height(tag<std::uint32_t>(tiff, TIFFTAG_IMAGELENGTH, 0)),
        bits(tag<std::uint16_t>(tiff, TIFFTAG_BITSPERSAMPLE, 1)),
        samples(tag<std::uint16_t>(tiff, TIFFTAG_SAMPLESPERPIXEL, 1)),
        format(
            tag<std::uint16_t>(tiff, TIFFTAG_SAMPLEFORMAT, SAMPLEFORMAT_UINT)),
        separate(tag<std::uint16_t>(tiff, TIFFTAG_PLANARCONFIG,
                                    PLANARCONFIG_CONTIG) !=
                 PLANARCONFIG_CONTIG),
        orientation(
            tag<std::uint16_t>(tiff, TIFFTAG_ORIENTATION, ORIENTATION_TOPLEFT)),
        inks(tag<std::uint16_t>(tiff, TIFFTAG_INKSET, INKSET_CMYK)) {
    std::uint16_t count = 0;
    std::uint16_t* kinds = nullptr;
    if (TIFFGetFieldDefaulted(tiff.get(), TIFFTAG_EXTRASAMPLES, &count,
                              &kinds) == 1 &&
        count > 0 && !extra_is_guessed)
      extra = kinds[0];
    if (extra_is_guessed) count = 0;
    // The library takes a file without this tag alike.
    std::uint16_t told = 0;
    kind = TIFFGetField(tiff.get(), TIFFTAG_PHOTOMETRIC, &told) == 1 ? told
           : samples - count == 3 ? PHOTOMETRIC_RGB
                                  : PHOTOMETRIC_MINISBLACK;
  }

  bool is_grey() const {
    return kind == PHOTOMETRIC_MINISBLACK || kind == PHOTOMETRIC_MINISWHITE;
  }
  bool is_cmyk() const {
    return kind == PHOTOMETRIC_SEPARATED && inks == INKSET_CMYK && bits == 8 &&
           samples >= 4;
  }
  std::uint16_t colours() const { return is_grey() ? 1 : is_cmyk() ? 4 : 3; }
  // Whether each value is a byte or two, and stands for itself.
  bool is_plain() const {
    return is_cmyk() || ((bits == 8 || bits == 16) &&
                         (is_grey() || kind == PHOTOMETRIC_RGB));
  }
  std::size_t value_bytes() const { return bits / 8U; }

  std::uint32_t width;
  std::uint32_t height;
  std::uint16_t bits;
  std::uint16_t samples;
  std::uint16_t format;
  bool separate;  // a plane for each sample
  std::uint16_t orientation;
  std::uint16_t inks;
  std::uint16_t kind = 0;
  // What the first sample after the colours is.
  std::optional<std::uint16_t> extra;
};

// The values of a plane, row by row, where all samples of a pixel or `plane`'s
// alone take `pixel` bytes. Returns whether all could be read.
bool read_plane(const Tiff& tiff, const Layout& layout, std::uint16_t plane,
                std::size_t pixel, std::span<std::byte> to) {
  const std::size_t row = pixel * layout.width;
  if (TIFFIsTiled(tiff.get()) == 0) {
    if (TIFFScanlineSize(tiff.get()) != static_cast<tmsize_t>(row))
      return false;
    const auto rows =
        std::min(tag<std::uint32_t>(tiff, TIFFTAG_ROWSPERSTRIP, layout.height),
                 layout.height);
    for (std::uint32_t y = 0; rows > 0 && y < layout.height; y += rows) {
      const auto size =
          static_cast<tmsize_t>(row * std::min(rows, layout.height - y));
      if (TIFFReadEncodedStrip(tiff.get(),
                               TIFFComputeStrip(tiff.get(), y, plane),
                               &to[y * row], size) != size)
        return false;
    }
    return rows > 0;
  }
  const auto width = tag<std::uint32_t>(tiff, TIFFTAG_TILEWIDTH, 0);
  const auto height = tag<std::uint32_t>(tiff, TIFFTAG_TILELENGTH, 0);
  const tmsize_t size = TIFFTileSize(tiff.get());
  if (width == 0 || height == 0 || size <= 0 || size > kMostBytes ||
      static_cast<std::uint64_t>(size) != pixel * width * height)
    return false;
  std::vector<std::byte> tile(static_cast<std::size_t>(size));
  for (std::uint32_t y = 0; y < layout.height; y += height)
    for (std::uint32_t x = 0; x < layout.width; x += width) {
      if (TIFFReadEncodedTile(tiff.get(),
                              TIFFComputeTile(tiff.get(), x, y, 0, plane),
                              tile.data(), size) != size)
        return false;
      const std::uint32_t rows = std::min(height, layout.height - y);
      const std::size_t part = pixel * std::min(width, layout.width - x);
      for (std::uint32_t i = 0; i < rows; ++i)
        std::memcpy(&to[(y + i) * row + x * pixel], &tile[i * pixel * width],
                    part);
    }
  return true;
}

// How the sample after the colours counts. Pillow, too, takes the
// only one after RGB, of which nothing is said, for the opacity.
enum class Opacity { kNone, kMultiplied, kPlain };
Opacity opacity_of(const Layout& layout) {
  if (layout.samples <= layout.colours() || layout.is_cmyk())
    return Opacity::kNone;
  if (!layout.extra)
    return layout.samples == layout.colours() + 1 ? Opacity::kPlain
                                                  : Opacity::kNone;
  return *layout.extra == EXTRASAMPLE_ASSOCALPHA   ? Opacity::kMultiplied
         : *layout.extra == EXTRASAMPLE_UNASSALPHA ? Opacity::kPlain
                                                   : Opacity::kNone;
}

// The samples [height, width, samples] as they are stored, of separate planes
// those that are used alone; nothing if they cannot be read.
std::vector<std::byte> read_samples(const Tiff& tiff, const Layout& layout) {
  const std::size_t value = layout.value_bytes();
  const std::size_t area = std::size_t{layout.width} * layout.height;
  const auto used = static_cast<std::uint16_t>(
      layout.colours() + (opacity_of(layout) == Opacity::kNone ? 0 : 1));
  std::vector<std::byte> all(area * layout.samples * value);
  if (!layout.separate)
    return read_plane(tiff, layout, 0, layout.samples * value, all)
               ? all
               : std::vector<std::byte>();
  std::vector<std::byte> plane(area * value);
  for (std::uint16_t s = 0; s < used; ++s) {
    if (!read_plane(tiff, layout, s, value, plane)) return {};
    for (std::size_t i = 0; i < area; ++i)
      std::memcpy(&all[(i * layout.samples + s) * value], &plane[i * value],
                  value);
  }
  return all;
}

// Of 8 bits.
Image image_of_inks(const Layout& layout, std::span<const std::byte> all) {
  const std::size_t area = std::size_t{layout.width} * layout.height;
  std::vector<std::uint8_t> rows;
  rows.reserve(area * 3);
  for (std::size_t i = 0; i < area; ++i) {
    const auto light = [inks = all.subspan(i * layout.samples)](std::size_t s) {
      return static_cast<std::uint8_t>(~inks[s]);
    };
    for (std::size_t s = 0; s < 3; ++s)
      rows.push_back(scaled(light(s), light(3)));
  }
  return image_of_rows(rows, 3, 3, layout.height, layout.width);
}

Image image_of_samples(const Layout& layout, std::span<const std::byte> all) {
  if (layout.is_cmyk()) return image_of_inks(layout, all);
  const std::uint16_t colours = layout.colours();
  const Opacity opacity = opacity_of(layout);
  const std::uint32_t stride = colours + (opacity == Opacity::kPlain ? 1U : 0U);
  const std::size_t area = std::size_t{layout.width} * layout.height;
  std::vector<std::uint8_t> rows(area * stride);
  Range16 range{0xFFFF, 0};
  // Sample s of pixel i, in 8 bits.
  const auto sample = [&](std::size_t i, std::size_t s) {
    const std::size_t at = i * layout.samples + s;
    const bool inverted = layout.kind == PHOTOMETRIC_MINISWHITE && s == 0;
    if (layout.bits == 8) {
      const auto value = std::to_integer<std::uint8_t>(all[at]);
      return static_cast<std::uint8_t>(inverted ? 255 - value : value);
    }
    std::uint16_t value = 0;
    std::memcpy(&value, &all[at * 2], 2);
    if (s < colours) {
      range.lowest = std::min(range.lowest, value);
      range.highest = std::max(range.highest, value);
    }
    return static_cast<std::uint8_t>(
        ((inverted ? 0xFFFF - value : value) + 128) / 257);
  };
  for (std::size_t i = 0; i < area; ++i) {
    for (std::size_t s = 0; s < stride; ++s)
      rows[i * stride + s] = sample(i, s);
    if (opacity != Opacity::kMultiplied) continue;
    const unsigned missing = 255U - sample(i, colours);
    for (std::size_t s = 0; s < stride; ++s) {
      std::uint8_t& value = rows[i * stride + s];
      value = static_cast<std::uint8_t>(std::min(255U, value + missing));
    }
  }
  Image image =
      image_of_rows(rows, stride, colours, layout.height, layout.width);
  if (layout.bits == 16) image.range16 = range;
  return image;
}

// By the library's own conversion to RGBA. It multiplies the colours by the
// opacity.
std::optional<Image> converted(const Tiff& tiff, const Layout& layout) {
  std::vector<std::uint32_t> raster(std::size_t{layout.width} * layout.height);
  // Rows as they are stored: the library turns by half turns alone.
  if (TIFFReadRGBAImageOriented(tiff.get(), layout.width, layout.height,
                                raster.data(), layout.orientation,
                                /*stopOnError=*/1) == 0)
    return {};
  const bool grey =
      layout.is_grey() || (layout.kind == PHOTOMETRIC_PALETTE &&
                           std::ranges::all_of(raster, [](std::uint32_t pixel) {
                             return (pixel & 0xFF) == (pixel >> 8 & 0xFF) &&
                                    (pixel & 0xFF) == (pixel >> 16 & 0xFF);
                           }));
  Image image = make_image(grey ? 1 : 3, layout.height, layout.width);
  for (std::size_t c = 0, to = 0; c < image.channels; ++c)
    for (const std::uint32_t pixel : raster)
      image.pixels[to++] = static_cast<std::uint8_t>(
          std::min(255U, (pixel >> (8 * c) & 0xFF) + (255 - (pixel >> 24))));
  return image;
}

// Whether there is a further page that is neither a smaller copy nor a mask of
// this one. Goes on to it.
bool has_more_pages(const Tiff& tiff) {
  constexpr int kMostCopies = 64;
  for (int i = 0; TIFFReadDirectory(tiff.get()) == 1; ++i) {
    const auto type = tag<std::uint32_t>(tiff, TIFFTAG_SUBFILETYPE, 0);
    if ((type & (FILETYPE_REDUCEDIMAGE | FILETYPE_MASK)) == 0 ||
        i == kMostCopies)
      return true;
  }
  return false;
}

}  // namespace

Result<Image> decode_tiff(std::span<const std::byte> bytes,
                          const std::string& name) {
  Source source{bytes};
  const auto damaged = [&] {
    return bad_image(
        name, fmt::format("damaged TIFF file of {} bytes, or of a kind that is "
                          "not read{}",
                          bytes.size(),
                          source.message[0] == '\0'
                              ? ""
                              : fmt::format(" ({})", source.message.data())));
  };
  const Tiff tiff = open(source);
  if (!tiff) return damaged();
  const Layout layout(tiff, source.extra_is_guessed);
  if (const auto size = check_size(name, layout.width, layout.height); !size)
    return size.error();
  // The library would read signed values as large ones.
  if (layout.format != SAMPLEFORMAT_UINT && layout.format != SAMPLEFORMAT_VOID)
    return bad_image(name,
                     "its values are signed, or no integers; convert it to "
                     "unsigned values of 8 or 16 bits");
  if (layout.kind == PHOTOMETRIC_PALETTE && layout.samples > 1)
    return bad_image(name,
                     "has more than a palette's colour a pixel, which is not "
                     "read; convert it to grey or RGB");
  source.message[0] = '\0';
  std::optional<Image> image;
  if (layout.is_plain()) {
    const std::uint64_t size = std::uint64_t{layout.width} * layout.height *
                               layout.samples * layout.value_bytes();
    if (layout.samples < layout.colours() || size > kMostBytes)
      return bad_image(
          name, fmt::format("has {} a pixel, which is not read; convert it to "
                            "grey or RGB",
                            plural(layout.samples, "value")));
    const std::vector<std::byte> all = read_samples(tiff, layout);
    if (!all.empty()) image = image_of_samples(layout, all);
  } else {
    image = converted(tiff, layout);
  }
  if (!image || source.message[0] != '\0') return damaged();
  if (has_more_pages(tiff))
    return bad_image(name, "has several pages, and an image a file is read");
  turn_upright(*image, layout.orientation);
  return std::move(*image);
}

}  // namespace mdgan
