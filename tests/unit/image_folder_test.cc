#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "common/data/dataset.h"
#include "common/files/png.h"
#include "tests/support/catch.h"
#include "tests/support/contains.h"
#include "tests/support/dataset_fails.h"
#include "tests/support/idx_text.h"
#include "tests/support/jpeg.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/text_file.h"

namespace mdgan::test {
namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<std::uint8_t>;

void write_grey(const fs::path& path, std::uint32_t width, std::uint32_t height,
                std::uint8_t value) {
  fs::create_directories(path.parent_path());
  REQUIRE(write_png(path, width, height, 1, Bytes(width * height, value)));
}

TEST_CASE("images alone are a data set without labels", "[dataset][folder]") {
  const TemporaryDirectory dir;
  write_grey(dir / "b.png", 3, 2, 20);
  write_grey(dir / "a.PNG", 3, 2, 10);
  write_text(dir / "notes.txt", "not an image");
  write_text(dir / ".hidden.png", "not an image");
  const auto data = load_dataset(dir.path());
  REQUIRE(data);
  CHECK((data->shape == ImageShape{1, 2, 3, 0}));
  CHECK(data->pixels == Bytes{10, 10, 10, 10, 10, 10, 20, 20, 20, 20, 20, 20});
  CHECK(data->labels.empty());
  CHECK(data->class_names.empty());
}

TEST_CASE("folders are classes in the order of their names",
          "[dataset][folder]") {
  const TemporaryDirectory dir;
  write_grey(dir / "dog" / "1.png", 1, 1, 3);
  write_grey(dir / "cat" / "2.png", 1, 1, 2);
  write_grey(dir / "cat" / "10.png", 1, 1, 1);
  const auto data = load_dataset(dir.path());
  REQUIRE(data);
  CHECK((data->shape == ImageShape{1, 1, 1, 2}));
  CHECK(data->class_names == std::vector<std::string>{"cat", "dog"});
  CHECK(data->pixels == Bytes{1, 2, 3});
  CHECK(data->labels == std::vector<std::int32_t>{0, 0, 1});
}

TEST_CASE("a class folder without images is told apart", "[dataset][folder]") {
  const TemporaryDirectory dir;
  fs::create_directory(dir / "cat");
  fs::create_directory(dir / "dog");
  check_fails(dir.path(), "no class folder holds an image; add some");
  write_grey(dir / "dog" / "a.png", 1, 1, 1);
  const auto data = load_dataset(dir.path());
  REQUIRE(data);
  CHECK(data->class_names == ClassNames{"dog"});
  CHECK(data->empty_classes == ClassNames{"cat"});
  CHECK(data->shape.classes == 1);
}

TEST_CASE("one coloured image makes all images coloured", "[dataset][folder]") {
  const TemporaryDirectory dir;
  write_grey(dir / "a.png", 2, 1, 7);
  REQUIRE(write_png(dir / "b.png", 2, 1, 3, Bytes{1, 2, 3, 4, 5, 6}));
  write_grey(dir / "c.png", 2, 1, 9);
  const auto data = load_dataset(dir.path());
  REQUIRE(data);
  CHECK((data->shape == ImageShape{3, 1, 2, 0}));
  CHECK(data->pixels == Bytes{7, 7, 7, 7, 7, 7,  //
                              1, 4, 2, 5, 3, 6,  //
                              9, 9, 9, 9, 9, 9});
}

TEST_CASE("JPEG files are read, grey and coloured", "[dataset][folder]") {
  const TemporaryDirectory dir;
  write_text(dir / "a.jpg", jpeg_of(Bytes(64, 100), 8, 8, true));
  auto data = load_dataset(dir.path());
  REQUIRE(data);
  CHECK(data->shape.channels == 1);
  CHECK(std::abs(data->pixels[0] - 100) <= 2);

  Bytes red(3 * 64);
  for (std::size_t i = 0; i < red.size(); i += 3) red[i] = 200;
  write_text(dir / "b.JPEG", jpeg_of(red, 8, 8, false));
  data = load_dataset(dir.path());
  REQUIRE(data);
  REQUIRE(data->shape.channels == 3);
  CHECK(std::abs(data->pixels[3 * 64] - 200) <= 4);
  CHECK(data->pixels[4 * 64] <= 4);
}

TEST_CASE("images of different sizes are refused with both names",
          "[dataset][folder]") {
  const TemporaryDirectory dir;
  write_grey(dir / "a.png", 2, 1, 0);
  write_grey(dir / "b.png", 2, 1, 0);
  write_grey(dir / "c.png", 1, 2, 0);
  check_fails(dir.path(), "c.png: is 2x1 (height x width)");
  check_fails(dir.path(), "a.png is 1x2");
}

TEST_CASE("damaged images are refused by name", "[dataset][folder]") {
  const TemporaryDirectory dir;
  write_grey(dir / "a.png", 16, 16, 5);
  const std::string png = read_text(dir / "a.png");
  Bytes noise(3 * 16 * 16);
  std::uint32_t value = 1;
  for (auto& byte : noise)
    byte =
        static_cast<std::uint8_t>((value = value * 1664525 + 1013904223) >> 24);
  const std::string jpeg = jpeg_of(noise, 16, 16, false);
  SECTION("empty") {
    write_text(dir / "b.png", "");
    check_fails(dir.path(), "b.png: is empty");
  }
  SECTION("truncated PNG, up to the end of its pixels") {
    for (std::size_t n = 0; n + 12 < png.size(); ++n) {
      write_text(dir / "b.png", png.substr(0, n));
      check_fails(dir.path(), "b.png");
    }
  }
  SECTION("the byte from which a PNG is damaged") {
    const std::size_t pixels = png.find("IDAT") - 4;  // after their length
    std::string flipped = png;
    flipped[pixels + 10] ^= '\x40';
    for (const std::string& damaged : {png.substr(0, pixels + 9), flipped}) {
      write_text(dir / "b.png", damaged);
      check_fails(dir.path(), "from byte " + std::to_string(pixels) + " on");
    }
  }
  SECTION("truncated JPEG") {
    for (std::size_t n = 0; n + 2 < jpeg.size(); n += 7) {
      write_text(dir / "b.jpg", jpeg.substr(0, n));
      check_fails(dir.path(), "b.jpg");
    }
  }
  SECTION("no image at all") {
    write_text(dir / "b.png", "not an image");
    check_fails(dir.path(), "b.png: is no image of a known format");
  }
  SECTION("a PNG that is too large") {
    write_grey(dir / "a.png", 4097, 1, 0);
    check_fails(dir.path(), "1x4097 (height x width)");
  }
}

TEST_CASE("fault 41: all bad images are named at once", "[dataset][folder]") {
  const TemporaryDirectory dir;
  for (char c = 'a'; c <= 'z'; ++c)
    write_text(dir / (std::string(1, c) + "0.png"), "");
  write_grey(dir / "a1.png", 2, 1, 0);
  write_grey(dir / "b1.png", 2, 1, 0);
  write_grey(dir / "a2.png", 1, 2, 0);
  check_fails(dir.path(), "27 of 29 images cannot be used");
  check_fails(dir.path(), "a0.png: is empty");
  check_fails(dir.path(), "a2.png: is 2x1");
  check_fails(dir.path(), "b0.png: is empty");
  check_fails(dir.path(), "and 7 more");
  check_fails(dir.path(), "--skip-bad leaves out");
  check_fails(dir.path(), "--fit crop");
}

TEST_CASE("folders that only systems make are passed over",
          "[dataset][folder]") {
  const TemporaryDirectory dir;
  write_grey(dir / "cat" / "1.png", 1, 1, 1);
  write_grey(dir / "dog" / "images" / "1.png", 1, 1, 2);
  write_text(dir / "dog" / "boxes.txt", "1 2 3 4");
  fs::create_directories(dir / "__MACOSX" / "cat");
  fs::create_directories(dir / "cat" / "@eaDir");
  fs::create_directory(dir / "lost+found");
  fs::create_directory(dir / ".ipynb_checkpoints");
  // Waste bins hold what was a class once.
  for (const char* const bin : {"#recycle", "@Recycle", "$RECYCLE.BIN"})
    write_grey(dir / bin / "fox" / "1.png", 1, 1, 3);
  fs::create_directory(dir / "__pycache__");
  const auto data = load_dataset(dir.path());
  REQUIRE(data);
  CHECK(data->class_names == std::vector<std::string>{"cat", "dog"});
  CHECK(data->pixels == Bytes{1, 2});
}

TEST_CASE("content decides what a file is, not its name", "[dataset][folder]") {
  const TemporaryDirectory dir;
  write_grey(dir / "a.png", 8, 8, 50);
  const std::string png = read_text(dir / "a.png");
  fs::remove(dir / "a.png");
  write_text(dir / "a.jpg", png);
  write_text(dir / "b.png", jpeg_of(Bytes(64, 100), 8, 8, true));
  write_text(dir / "c", png);
  write_text(dir / "notes.txt", "not an image");
  const auto data = load_dataset(dir.path());
  REQUIRE(data);
  REQUIRE(data->size() == 3);
  CHECK(data->pixels[0] == 50);
  CHECK(std::abs(data->pixels[64] - 100) <= 2);
  CHECK(data->pixels[128] == 50);
  write_text(dir / "d", "GIF89a and more");
  check_fails(dir.path(), "d: is a GIF file");
}

TEST_CASE("formats that are not read are named", "[dataset][folder]") {
  const TemporaryDirectory dir;
  const auto told = [&](const std::string& bytes, const char* format) {
    write_text(dir / "a.image", bytes);
    check_fails(dir.path(), std::string("is a ") + format +
                                " file, which is not read; convert it");
  };
  told("P6\n2 2\n255\n", "PPM");
  told("P5\n2 2\n255\n", "PGM");
  told("\xff\x0a and more", "JPEG XL");
  told("\xff\x4f\xff\x51 and more", "JPEG 2000");
  told(std::string(128, '\0').append("DICM and more"), "DICOM");
}

TEST_CASE("a file's name forges no line of a log", "[dataset][folder]") {
  const TemporaryDirectory dir;
  write_text(dir / "a\n\x1b[31minfo all is well.png", "no image");
  const auto data = load_dataset(dir.path());
  REQUIRE_FALSE(data);
  CHECK(data.error().message.find_first_of("\n\x1b") == std::string::npos);
  CHECK(contains(data.error().message, {"a??[31minfo all is well.png"}));
}

// The data set, and what is logged meanwhile.
std::pair<Result<Dataset>, std::string> load_and_log(
    const fs::path& directory, const ImageReading& reading) {
  std::ostringstream log;
  const auto before = spdlog::default_logger();
  spdlog::set_default_logger(std::make_shared<spdlog::logger>(
      "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(log)));
  auto data = load_dataset(directory, DataPart::kTrain, reading);
  spdlog::set_default_logger(before);
  return {std::move(data), log.str()};
}

TEST_CASE("folders of images beside MNIST's files are told of",
          "[dataset][folder]") {
  const TemporaryDirectory dir;
  write_text(dir / "train-images-idx3-ubyte", idx_images(2, 2, 3, 12));
  write_text(dir / "train-labels-idx1-ubyte", idx_labels(2, "\x07\x01"));
  fs::create_directory(dir / "notes");
  auto [alone, nothing] = load_and_log(dir.path(), {});
  REQUIRE(alone);
  CHECK(nothing.empty());
  write_grey(dir / "dog" / "1.png", 3, 2, 1);
  write_grey(dir / "cat" / "1.png", 3, 2, 1);
  auto [data, log] = load_and_log(dir.path(), {});
  REQUIRE(data);
  CHECK(data->size() == 2);
  CHECK(contains(log, {"cat, dog", "not read"}));
}

TEST_CASE("fault 41: with --skip-bad bad images are left out and counted",
          "[dataset][folder]") {
  ImageReading reading;
  reading.skip_bad = true;
  const TemporaryDirectory dir;
  for (const char* name : {"1", "3", "5", "7"})
    write_text(dir / (std::string(name) + ".png"), "");
  const auto none = load_dataset(dir.path(), DataPart::kTrain, reading);
  REQUIRE_FALSE(none);
  CHECK(none.error().message.find("4 of 4 images cannot be used") !=
        std::string::npos);
  write_grey(dir / "2.png", 1, 1, 2);
  write_grey(dir / "4.png", 1, 1, 4);
  auto [data, log] = load_and_log(dir.path(), reading);
  REQUIRE(data);
  CHECK(data->pixels == Bytes{2, 4});
  CHECK(log.find("4 of 6 images cannot be read and are left out: 1.png, 3.png, "
                 "5.png, ...") != std::string::npos);
  write_grey(dir / "8.png", 1, 2, 4);  // not damaged: not left out
  CHECK_FALSE(load_dataset(dir.path(), DataPart::kTrain, reading));
}

TEST_CASE("fault 41: --skip-bad keeps the others' labels, and no empty class",
          "[dataset][folder]") {
  ImageReading reading;
  reading.skip_bad = true;
  const TemporaryDirectory dir;
  write_grey(dir / "cat" / "1.png", 1, 1, 1);
  write_grey(dir / "cat" / "2.png", 1, 1, 2);
  write_grey(dir / "dog" / "3.png", 1, 1, 3);
  write_text(dir / "cat" / "1.png", "");
  const auto data = load_dataset(dir.path(), DataPart::kTrain, reading);
  REQUIRE(data);
  CHECK(data->pixels == Bytes{2, 3});
  CHECK(data->labels == std::vector<std::int32_t>{0, 1});
  write_text(dir / "dog" / "3.png", "");
  const auto empty = load_dataset(dir.path(), DataPart::kTrain, reading);
  REQUIRE_FALSE(empty);
  CHECK(empty.error().message.find("dog: none of the images of this class "
                                   "can be read") != std::string::npos);
}

TEST_CASE("a class of which nothing can be read is warned of",
          "[dataset][folder]") {
  const TemporaryDirectory dir;
  fs::create_directories(dir / "dog");
  write_text(dir / "dog" / "1.svg", "<svg/>");
  check_fails(dir.path(), "dog/1.svg: make PNG, JPEG, WebP, TIFF or BMP files");
  write_grey(dir / "cat" / "1.png", 1, 1, 1);
  write_grey(dir / "cat" / "more" / "2.png", 1, 1, 1);
  const auto [data, log] = load_and_log(dir.path(), {});
  REQUIRE(data);
  CHECK(data->size() == 1);
  CHECK(contains(
      log, {"a class has no images, but other files, as", "dog/1.svg: make PNG",
            "1 folder beside images is passed "
            "over with all that is in it, as",
            "cat/more"}));
}

TEST_CASE("12 bits in 16 are told, with the range", "[dataset][folder]") {
  // Two grey pixels, 0x0123 and 0x0FFF.
  const Bytes png{0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00,
                  0x00, 0x0d, 0x49, 0x48, 0x44, 0x52, 0x00, 0x00, 0x00, 0x02,
                  0x00, 0x00, 0x00, 0x01, 0x10, 0x00, 0x00, 0x00, 0x00, 0x81,
                  0xd9, 0xfc, 0x15, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x44, 0x41,
                  0x54, 0x78, 0x9c, 0x63, 0x60, 0x54, 0xe6, 0xff, 0x0f, 0x00,
                  0x01, 0x8f, 0x01, 0x33, 0x2e, 0x7b, 0x75, 0x31, 0x00, 0x00,
                  0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82};
  const TemporaryDirectory dir;
  write_text(dir / "a.png", std::string(png.begin(), png.end()));
  const auto [data, log] = load_and_log(dir.path(), {});
  REQUIRE(data);
  CHECK(data->pixels == Bytes{1, 16});
  CHECK(log.find("lie in [291, 4095]") != std::string::npos);
}

TEST_CASE("folders that are ambiguous are refused", "[dataset][folder]") {
  const TemporaryDirectory dir;
  write_grey(dir / "cat" / "1.png", 1, 1, 3);
  write_grey(dir / "1.png", 1, 1, 3);
  check_fails(dir.path(), "beside folders");
}

}  // namespace
}  // namespace mdgan::test
