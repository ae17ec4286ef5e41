// tests/images/pillow_test.py compares many more images with Pillow's.
#include "common/data/image_fit.h"

#include <filesystem>
#include <numeric>
#include <string>
#include <vector>

#include "common/data/dataset.h"
#include "common/files/png.h"
#include "tests/support/catch.h"
#include "tests/support/idx_text.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/text_file.h"

namespace mdgan::test {
namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<std::uint8_t>;

Image image_of(std::uint32_t channels, std::uint32_t height,
               std::uint32_t width, Bytes pixels) {
  return {channels, height, width, std::move(pixels), std::nullopt};
}

Bytes fitted(Image image, const ImageReading& reading) {
  fit_image(image, reading);
  CHECK(image.pixels.size() ==
        std::size_t{image.channels} * image.height * image.width);
  if (reading.has_size()) CHECK(has_size(image, reading));
  return image.pixels;
}

TEST_CASE("an image is cut to a size, or lies on black", "[dataset][fit]") {
  // Columns 10, 20, 30, 40.
  const Image wide = image_of(1, 2, 4, {10, 20, 30, 40, 10, 20, 30, 40});
  CHECK(fitted(wide, {2, 2, Fit::kCrop}) == Bytes{20, 30, 20, 30});
  CHECK(fitted(wide, {4, 4, Fit::kPad}) ==
        Bytes{0, 0, 0, 0, 10, 20, 30, 40, 10, 20, 30, 40, 0, 0, 0, 0});
  CHECK(fitted(wide, {2, 4, Fit::kError}) == wide.pixels);
  const Image high = image_of(1, 4, 1, {10, 20, 30, 40});
  CHECK(fitted(high, {2, 1, Fit::kCrop}) == Bytes{20, 30});
  CHECK(fitted(high, {4, 3, Fit::kPad}) ==
        Bytes{0, 10, 0, 0, 20, 0, 0, 30, 0, 0, 40, 0});
}

TEST_CASE("a constant image stays constant at every size", "[dataset][fit]") {
  const auto [height, width] =
      GENERATE(std::pair(1U, 1U), std::pair(7U, 3U), std::pair(64U, 50U));
  for (const std::uint32_t side : {1U, 2U, 5U, 28U, 100U}) {
    const Image image =
        image_of(3, height, width, Bytes(3 * height * width, 200));
    CHECK(fitted(image, {side, side, Fit::kCrop}) ==
          Bytes(3 * side * side, 200));
  }
}

TEST_CASE("an image much longer than wide keeps a pixel", "[dataset][fit]") {
  const Image line = image_of(1, 1, 4096, Bytes(4096, 9));
  const Bytes padded = fitted(line, {5, 5, Fit::kPad});
  CHECK(std::accumulate(padded.begin(), padded.end(), 0) == 5 * 9);
}

TEST_CASE("grey is Pillow's L, and RGB repeats grey", "[dataset][fit]") {
  const Image rgb = image_of(3, 1, 2, {255, 10, 0, 20, 0, 30});
  CHECK(fitted(rgb, {0, 0, Fit::kError, 1}) == Bytes{76, 18});
  CHECK(fitted(rgb, {0, 0, Fit::kError, 3}) == rgb.pixels);
  CHECK(fitted(image_of(1, 1, 2, {5, 6}), {0, 0, Fit::kError, 3}) ==
        Bytes{5, 6, 5, 6, 5, 6});
}

// Pillow 9.4 gives these values, and so does every machine.
TEST_CASE("the same image becomes the same bits", "[dataset][fit]") {
  Bytes pixels(37 * 53);
  std::uint32_t value = 1;
  for (auto& byte : pixels)
    byte =
        static_cast<std::uint8_t>((value = value * 1664525 + 1013904223) >> 24);
  const Image image = image_of(1, 37, 53, pixels);
  CHECK(fitted(image, {4, 4, Fit::kCrop}) ==
        Bytes{134, 139, 140, 134, 131, 138, 136, 131,  //
              127, 125, 133, 134, 138, 111, 123, 117});
  CHECK(fitted(image, {4, 4, Fit::kPad}) ==
        Bytes{131, 137, 139, 123, 124, 131, 136, 124,  //
              136, 120, 123, 122, 0, 0, 0, 0});
}

TEST_CASE("mixed sizes, grey and colour train together", "[dataset][folder]") {
  const TemporaryDirectory dir;
  REQUIRE(write_png(dir / "a.png", 2, 1, 1, Bytes{7, 7}));
  REQUIRE(write_png(dir / "b.png", 1, 2, 3, Bytes{9, 9, 9, 9, 9, 9}));
  ImageReading reading{2, 2, Fit::kPad};
  const auto load = [&] {
    return load_dataset(dir.path(), DataPart::kTrain, reading);
  };
  auto data = load();
  REQUIRE(data);
  CHECK((data->shape == ImageShape{3, 2, 2, 0}));
  reading.channels = 1;
  data = load();
  REQUIRE(data);
  CHECK((data->shape == ImageShape{1, 2, 2, 0}));
  CHECK(data->pixels == Bytes{7, 7, 0, 0, 9, 0, 9, 0});
  reading.fit = Fit::kError;
  data = load();
  REQUIRE_FALSE(data);
  CHECK(data.error().message.find("a.png: is 1x2 (height x width), but --size "
                                  "is 2x2") != std::string::npos);
  fs::remove(dir / "b.png");
  reading = {1, 2, Fit::kError, 3};
  data = load();
  REQUIRE(data);
  CHECK((data->shape == ImageShape{3, 1, 2, 0}));
}

TEST_CASE("MNIST takes another size and number of channels", "[dataset][idx]") {
  const TemporaryDirectory dir;
  write_text(dir / "train-images-idx3-ubyte", idx_images(2, 2, 2, 8));
  write_text(dir / "train-labels-idx1-ubyte", idx_labels(2, "\x07\x01"));
  const auto data =
      load_dataset(dir.path(), DataPart::kTrain, {4, 2, Fit::kPad, 3});
  REQUIRE(data);
  CHECK((data->shape == ImageShape{3, 4, 2, 10}));
  CHECK(data->size() == 2);
  CHECK(std::vector(data->pixels.begin() + 24, data->pixels.begin() + 32) ==
        Bytes{0, 0, 4, 5, 6, 7, 0, 0});
  const auto other =
      load_dataset(dir.path(), DataPart::kTrain, {4, 2, Fit::kError, 3});
  REQUIRE_FALSE(other);
  CHECK(other.error().message.find("its images are 2x2") != std::string::npos);
}

}  // namespace
}  // namespace mdgan::test
