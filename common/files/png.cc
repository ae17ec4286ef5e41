#include "common/files/png.h"

#include <png.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <utility>
#include <vector>

#include "common/files/output_file.h"
#include "common/files/pixel_text.h"

namespace mdgan {
namespace {

constexpr std::size_t kGutter = 2;
constexpr std::uint8_t kWhite = 255;
constexpr std::uint8_t kBlack = 0;

// From [-1, 1]; not-a-number becomes black.
std::uint8_t to_pixel(float value) {
  const float scaled = (value + 1.0F) * 127.5F;
  if (!(scaled > 0.0F)) return 0;
  return static_cast<std::uint8_t>(std::lround(std::min(scaled, 255.0F)));
}

// Names above the columns of a grid.
class Margin {
 public:
  Margin(std::span<const std::string> names, std::size_t across,
         std::size_t width) {
    for (const std::string& name : names.first(std::min(across, names.size())))
      if (auto text = pixel_text(name); text && text->height <= width)
        texts_.push_back(std::move(*text));
    if (texts_.size() < std::min(across, names.size())) texts_.clear();
    for (const PixelText& text : texts_)
      turned_ = turned_ || text.width > width;
    for (const PixelText& text : texts_)
      height_ =
          std::max(height_, kGutter + (turned_ ? text.width : text.height));
  }

  std::size_t height() const { return height_; }
  std::size_t columns() const { return texts_.size(); }

  // Calls draw(x, y) for each pixel of ink above a column of `width` pixels,
  // from its top left. Turned text is read from below, and begins there.
  template <typename Draw>
  void draw_above(std::size_t column, std::size_t width, Draw draw) const {
    const PixelText& text = texts_[column];
    const std::size_t wide = turned_ ? text.height : text.width;
    const std::size_t left = width > wide ? (width - wide) / 2 : 0;
    for (std::size_t y = 0; y < text.height; ++y)
      for (std::size_t x = 0; x < text.width; ++x)
        if (text.ink[y * text.width + x]) {
          if (!turned_)
            draw(left + x, kGutter + y);
          else if (left + y < width)
            draw(left + y, height_ - 1 - x);
        }
  }

 private:
  std::vector<PixelText> texts_;
  bool turned_ = false;
  std::size_t height_ = 0;
};

}  // namespace

Result<void> write_png(const std::filesystem::path& path, std::uint32_t width,
                       std::uint32_t height, std::uint32_t channels,
                       std::span<const std::uint8_t> pixels) {
  MDGAN_CHECK(channels == 1 || channels == 3);
  MDGAN_CHECK(pixels.size() == std::size_t{width} * height * channels);
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = width;
  image.height = height;
  image.format = channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
  std::vector<std::byte> bytes(size);
  // Row stride 0: the rows follow each other.
  if (png_image_write_to_memory(&image, bytes.data(), &size, 0, pixels.data(),
                                0, nullptr) == 0)
    return Error{fmt::format("cannot encode {}: {}", path.string(),
                             static_cast<const char*>(image.message)),
                 ExitCode::kCheckpoint};
  const std::array parts{std::span<const std::byte>(bytes).first(size)};
  return write_output(path, parts);
}

Result<void> write_image_grid(const std::filesystem::path& path,
                              const Blob& images, std::uint32_t columns,
                              std::span<const std::string> names) {
  MDGAN_CHECK(names.empty() || names.size() == columns);
  const auto& dims = images.meta.dims;
  MDGAN_CHECK(images.meta.dtype == protocol::DType::kFloat32);
  MDGAN_CHECK(dims.size() == 4 && dims[0] > 0 && columns > 0);
  const std::size_t count = dims[0];
  const std::size_t channels = dims[1];
  const std::size_t height = dims[2];
  const std::size_t width = dims[3];
  const std::size_t across = std::min<std::size_t>(columns, count);
  const std::size_t down = (count + across - 1) / across;
  const std::size_t grid_width = across * (width + kGutter) + kGutter;
  const Margin margin(names, across, width);
  const std::size_t grid_height =
      margin.height() + down * (height + kGutter) + kGutter;

  std::vector<std::uint8_t> pixels(grid_width * grid_height * channels, kWhite);
  const std::byte* source = images.bytes.data();
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t top =
        margin.height() + kGutter + i / across * (height + kGutter);
    const std::size_t left = kGutter + i % across * (width + kGutter);
    for (std::size_t c = 0; c < channels; ++c)
      for (std::size_t y = 0; y < height; ++y)
        for (std::size_t x = 0; x < width; ++x) {
          float value = 0;
          std::memcpy(&value, source, sizeof(value));
          source += sizeof(value);
          pixels[((top + y) * grid_width + left + x) * channels + c] =
              to_pixel(value);
        }
  }
  for (std::size_t column = 0; column < margin.columns(); ++column)
    margin.draw_above(column, width, [&](std::size_t x, std::size_t y) {
      const std::size_t left = kGutter + column * (width + kGutter);
      for (std::size_t c = 0; c < channels; ++c)
        pixels[(y * grid_width + left + x) * channels + c] = kBlack;
    });
  return write_png(path, static_cast<std::uint32_t>(grid_width),
                   static_cast<std::uint32_t>(grid_height),
                   static_cast<std::uint32_t>(channels), pixels);
}

}  // namespace mdgan
