#include "common/data/image_file.h"

#include <png.h>
#include <spdlog/fmt/fmt.h>
#include <turbojpeg.h>
#include <zlib.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "common/files/read_file.h"
#include "protocol/limits.h"

namespace mdgan {
namespace {

// A truncated file is a mere warning to the JPEG library.
constexpr int kJpegFlags =
    TJFLAG_ACCURATEDCT | TJFLAG_STOPONWARNING | TJFLAG_LIMITSCANS;

Error bad(std::string_view name, std::string_view what) {
  return {fmt::format("{}: {}; remove or replace it", name, what),
          ExitCode::kData};
}

std::string extension(const std::filesystem::path& path) {
  std::string text = path.extension().string();
  std::ranges::transform(text, text.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return text;
}

bool is_side(std::uint64_t side) {
  return side >= 1 && side <= protocol::kMaxImageSide;
}

Error bad_size(const std::string& name, std::uint64_t width,
               std::uint64_t height) {
  return bad(name, fmt::format("is {}x{}, but both sides must be in [1, {}]",
                               width, height, protocol::kMaxImageSide));
}

// An image with memory for its pixels.
Image make_image(std::uint32_t channels, std::uint32_t height,
                 std::uint32_t width) {
  return {channels, height, width,
          std::vector<std::uint8_t>(std::size_t{channels} * height * width)};
}

// Converts HWC to CHW.
void separate_planes(Image& image) {
  if (image.channels == 1) return;
  const std::size_t area = std::size_t{image.height} * image.width;
  std::vector<std::uint8_t> planes(image.pixels.size());
  for (std::size_t i = 0; i < area; ++i)
    for (std::size_t c = 0; c < image.channels; ++c)
      planes[c * area + i] = image.pixels[i * image.channels + c];
  image.pixels = std::move(planes);
}

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

// Reads by libpng's simplified interface, which handles its long jumps itself.
Result<Image> decode_png(std::span<const std::byte> bytes,
                         const std::string& name) {
  struct PngImage : png_image {
    PngImage() : png_image{} { version = PNG_IMAGE_VERSION; }
    ~PngImage() { png_image_free(this); }
    PngImage(const PngImage&) = delete;
    PngImage& operator=(const PngImage&) = delete;
  } png;
  const auto damaged = [&] {
    const auto at = first_damaged_chunk(bytes);
    return bad(name,
               fmt::format("damaged PNG file of {} bytes{} ({})", bytes.size(),
                           at ? fmt::format(", from byte {} on", *at) : "",
                           static_cast<const char*>(png.message)));
  };
  if (png_image_begin_read_from_memory(&png, bytes.data(), bytes.size()) == 0)
    return damaged();
  if (!is_side(png.width) || !is_side(png.height))
    return bad_size(name, png.width, png.height);
  const bool colour = (png.format & PNG_FORMAT_FLAG_COLOR) != 0;
  png.format = colour ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  // Otherwise libpng takes 16-bit values for linear light.
  png.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;
  Image image = make_image(colour ? 3 : 1, png.height, png.width);
  const png_color white{255, 255, 255};
  if (png_image_finish_read(&png, &white, image.pixels.data(), 0, nullptr) == 0)
    return damaged();
  separate_planes(image);
  return image;
}

Result<Image> decode_jpeg(std::span<const std::byte> bytes,
                          const std::string& name) {
  const std::unique_ptr<void, int (*)(tjhandle)> decoder(tjInitDecompress(),
                                                         &tjDestroy);
  const auto damaged = [&] {
    return bad(name, fmt::format("damaged JPEG file of {} bytes ({})",
                                 bytes.size(), tjGetErrorStr2(decoder.get())));
  };
  if (!decoder) return damaged();
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  int width = 0;
  int height = 0;
  int subsampling = 0;
  int colours = 0;
  if (tjDecompressHeader3(decoder.get(), data, bytes.size(), &width, &height,
                          &subsampling, &colours) != 0)
    return damaged();
  const auto unsigned_width = static_cast<std::uint32_t>(width);
  const auto unsigned_height = static_cast<std::uint32_t>(height);
  if (!is_side(unsigned_width) || !is_side(unsigned_height))
    return bad_size(name, unsigned_width, unsigned_height);
  const bool grey = colours == TJCS_GRAY;
  Image image = make_image(grey ? 1 : 3, unsigned_height, unsigned_width);
  if (tjDecompress2(decoder.get(), data, bytes.size(), image.pixels.data(),
                    width, /*pitch=*/0, height, grey ? TJPF_GRAY : TJPF_RGB,
                    kJpegFlags) != 0)
    return damaged();
  separate_planes(image);
  return image;
}

}  // namespace

bool has_image_name(const std::filesystem::path& path) {
  const std::string text = extension(path);
  return text == ".png" || text == ".jpg" || text == ".jpeg";
}

Result<Image> read_image(const std::filesystem::path& path) {
  const Result<std::vector<std::byte>> bytes = read_file(path, ExitCode::kData);
  if (!bytes) return bytes.error();
  if (bytes->empty()) return bad(path.string(), "is empty");
  return extension(path) == ".png" ? decode_png(*bytes, path.string())
                                   : decode_jpeg(*bytes, path.string());
}

}  // namespace mdgan
