#include <png.h>
#include <spdlog/fmt/fmt.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <bit>
#include <csetjmp>
#include <cstring>
#include <optional>
#include <string_view>
#include <vector>

#include "common/data/image_decoders.h"

namespace mdgan {
namespace {

// Where the first chunk begins that is cut off or has a wrong checksum; nothing
// if there is none.
std::optional<std::size_t> first_damaged_chunk(
    std::span<const std::byte> bytes) {
  const auto number_at = [bytes](std::size_t at) {
    std::uint32_t value = 0;
    for (const std::byte b : bytes.subspan(at, 4))
      value = (value << 8) | std::to_integer<std::uint32_t>(b);
    return value;
  };
  constexpr std::size_t kSignature = 8;
  constexpr std::size_t kFrame = 12;  // length, type; checksum
  for (std::size_t at = kSignature; at < bytes.size();) {
    if (bytes.size() - at < kFrame) return at;
    const std::size_t length = number_at(at);
    if (length > bytes.size() - at - kFrame) return at;
    const auto* type =
        reinterpret_cast<const Bytef*>(bytes.subspan(at + 4).data());
    const auto checksum = crc32_z(0, type, length + 4);
    if (checksum != number_at(at + 8 + length)) return at;
    at += kFrame + length;
  }
  return std::nullopt;
}

// Whether the chunk of animated files comes before the pixels. Other readers
// show the first picture alone.
bool is_animated(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()),
                              bytes.size());
  const auto pixels = text.find("IDAT");
  const auto animation =
      text.substr(0, pixels).find(std::string_view("\0\0\0\x08"
                                                   "acTL",
                                                   8));
  return animation != text.npos;
}

struct PngDecoder {
  explicit PngDecoder(std::span<const std::byte> input) : rest(input) {
    png = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, &PngDecoder::fail,
                                 [](png_structp, png_const_charp) {});
    if (png != nullptr) info = png_create_info_struct(png);
  }
  ~PngDecoder() { png_destroy_read_struct(&png, &info, nullptr); }
  PngDecoder(const PngDecoder&) = delete;
  PngDecoder& operator=(const PngDecoder&) = delete;

  static void fail(png_structp png, png_const_charp text) {
    auto* self = static_cast<PngDecoder*>(png_get_error_ptr(png));
    std::strncpy(self->message.data(), text, self->message.size() - 1);
    png_longjmp(png, 1);
  }
  static void read(png_structp png, png_bytep to, std::size_t size) {
    auto* self = static_cast<PngDecoder*>(png_get_io_ptr(png));
    if (size > self->rest.size()) png_error(png, "it ends too early");
    std::memcpy(to, self->rest.data(), size);
    self->rest = self->rest.subspan(size);
  }

  std::span<const std::byte> rest;
  std::array<char, 128> message{};
  png_structp png = nullptr;
  png_infop info = nullptr;
  bool palette = false;
  int passes = 1;
};

// libpng's errors jump out of these functions, so that none has a
// variable with a destructor.
bool read_header(PngDecoder& decoder) {
  png_structp png = decoder.png;
  if (setjmp(png_jmpbuf(png)) != 0) return false;  // NOLINT(cert-err52-cpp)
  png_set_read_fn(png, &decoder, &PngDecoder::read);
  png_set_benign_errors(png, 1);
  png_read_info(png, decoder.info);
  return true;
}

bool prepare(PngDecoder& decoder) {
  png_structp png = decoder.png;
  if (setjmp(png_jmpbuf(png)) != 0) return false;  // NOLINT(cert-err52-cpp)
  decoder.palette =
      png_get_color_type(png, decoder.info) == PNG_COLOR_TYPE_PALETTE;
  png_set_expand(png);  // palettes, fewer than 8 bits, tRNS
  if constexpr (std::endian::native == std::endian::little) png_set_swap(png);
  decoder.passes = png_set_interlace_handling(png);
  png_read_update_info(png, decoder.info);
  return true;
}

bool read_png(PngDecoder& decoder, png_bytep first, std::size_t row_bytes) {
  png_structp png = decoder.png;
  if (setjmp(png_jmpbuf(png)) != 0) return false;  // NOLINT(cert-err52-cpp)
  const std::size_t height = png_get_image_height(png, decoder.info);
  for (int pass = 0; pass < decoder.passes; ++pass)
    for (std::size_t y = 0; y < height; ++y)
      png_read_row(png, first + y * row_bytes, nullptr);
  return true;
}

// What comes after the pixels may tell the orientation. Damage there is of no
// matter: the pixels are whole.
void read_end(PngDecoder& decoder) {
  png_structp png = decoder.png;
  if (setjmp(png_jmpbuf(png)) != 0) return;  // NOLINT(cert-err52-cpp)
  png_read_end(png, decoder.info);
}

unsigned orientation_of(const PngDecoder& decoder) {
  png_uint_32 size = 0;
  png_bytep exif = nullptr;
  if (png_get_eXIf_1(decoder.png, decoder.info, &size, &exif) == 0) return 1;
  return exif_orientation(std::as_bytes(std::span(exif, size)));
}

// Reduces values of 16 bits, in the machine's order, to 8 bits where they are.
Range16 reduce_to_bytes(std::vector<std::uint8_t>& rows, std::uint32_t stride,
                        std::uint32_t channels) {
  Range16 range{0xFFFF, 0};
  const std::size_t values = rows.size() / 2;
  for (std::size_t i = 0; i < values; ++i) {
    std::uint16_t value = 0;
    std::memcpy(&value, rows.data() + 2 * i, 2);
    if (i % stride < channels) {  // not an opacity
      range.lowest = std::min(range.lowest, value);
      range.highest = std::max(range.highest, value);
    }
    rows[i] = static_cast<std::uint8_t>((value + 128U) / 257U);
  }
  rows.resize(values);
  return range;
}

void drop_equal_colours(Image& image) {
  const auto area = static_cast<std::ptrdiff_t>(image.pixels.size() / 3);
  const auto red = image.pixels.begin();
  if (!std::equal(red, red + area, red + area) ||
      !std::equal(red, red + area, red + 2 * area))
    return;
  image.channels = 1;
  image.pixels.resize(static_cast<std::size_t>(area));
}

}  // namespace

Result<Image> decode_png(std::span<const std::byte> bytes,
                         const std::string& name) {
  PngDecoder decoder(bytes);
  const auto damaged = [&] {
    const auto at = first_damaged_chunk(bytes);
    return bad_image(
        name, fmt::format("damaged PNG file of {} bytes{} ({})", bytes.size(),
                          at ? fmt::format(", from byte {} on", *at) : "",
                          decoder.message.data()));
  };
  if (decoder.info == nullptr || !read_header(decoder)) return damaged();
  if (is_animated(bytes))
    return bad_image(name, "is an animation, and images are read");
  const png_structp png = decoder.png;
  const std::uint32_t width = png_get_image_width(png, decoder.info);
  const std::uint32_t height = png_get_image_height(png, decoder.info);
  if (const auto size = check_size(name, width, height); !size)
    return size.error();
  if (!prepare(decoder)) return damaged();
  const std::uint32_t stride = png_get_channels(png, decoder.info);
  const std::uint32_t channels = stride >= 3 ? 3 : 1;
  const std::size_t row_bytes = png_get_rowbytes(png, decoder.info);
  std::vector<std::uint8_t> rows(row_bytes * height);
  if (!read_png(decoder, rows.data(), row_bytes)) return damaged();
  std::optional<Range16> range;
  if (png_get_bit_depth(png, decoder.info) == 16)
    range = reduce_to_bytes(rows, stride, channels);
  Image image = image_of_rows(rows, stride, channels, height, width);
  image.range16 = range;
  if (decoder.palette) drop_equal_colours(image);
  read_end(decoder);
  turn_upright(image, orientation_of(decoder));
  return image;
}

}  // namespace mdgan
