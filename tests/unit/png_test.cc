#include "common/files/png.h"

#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include "common/data/image_file.h"
#include "common/files/pixel_text.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_directory.h"

namespace mdgan::test {
namespace {

Blob images_of(std::vector<std::uint64_t> dims,
               const std::vector<float>& values) {
  return copy_blob({protocol::DType::kFloat32, std::move(dims)},
                   std::as_bytes(std::span(values)));
}

TEST_CASE("a PNG holds the pixels that were written", "[png]") {
  const TemporaryDirectory dir;
  const auto path = dir / "a.png";
  const std::vector<std::uint8_t> grey{0, 1, 127, 128, 254, 255};
  REQUIRE(write_png(path, 3, 2, 1, grey));
  auto image = read_image(path);
  REQUIRE(image);
  CHECK(image->channels == 1);
  CHECK(image->width == 3);
  CHECK(image->height == 2);
  CHECK(image->pixels == grey);

  REQUIRE(write_png(path, 1, 2, 3, grey));
  image = read_image(path);
  REQUIRE(image);
  CHECK(image->channels == 3);
  CHECK(image->pixels == std::vector<std::uint8_t>{0, 128, 1, 254, 127, 255});
}

TEST_CASE("a PNG that cannot be written is an error", "[png]") {
  const TemporaryDirectory dir;
  const std::vector<std::uint8_t> one{0};
  const auto written = write_png(dir / "no" / "a.png", 1, 1, 1, one);
  REQUIRE_FALSE(written);
  CHECK(written.error().code == ExitCode::kCheckpoint);
}

TEST_CASE("a grid shows the images in rows with a gutter", "[png]") {
  const TemporaryDirectory dir;
  // Three images of one pixel, two in a row.
  REQUIRE(write_image_grid(dir / "g.png",
                           images_of({3, 1, 1, 1}, {-1.0F, 0.0F, 1.0F}), 2));
  const auto image = read_image(dir / "g.png");
  REQUIRE(image);
  REQUIRE(image->width == 2 + 1 + 2 + 1 + 2);
  REQUIRE(image->height == 2 + 1 + 2 + 1 + 2);
  std::vector<std::uint8_t> expected(8 * 8, 255);
  expected[2 * 8 + 2] = 0;
  expected[2 * 8 + 5] = 128;
  CHECK(image->pixels == expected);
}

TEST_CASE("names of classes stand above a grid's columns", "[png]") {
  const TemporaryDirectory dir;
  const std::vector<std::string> names{"4", "caf\u00e9 noir and so on"};
  const auto side = GENERATE(std::size_t{12}, std::size_t{200});
  std::vector<float> white(2 * side * side, 1);
  REQUIRE(write_image_grid(dir / "g.png", images_of({2, 1, side, side}, white),
                           2, names));
  const auto image = read_image(dir / "g.png");
  REQUIRE(image);
  REQUIRE(image->width == 2 * side + 6);
  const std::size_t margin = image->height - side - 4;
  const auto black = [&](std::size_t first, std::size_t end) {
    std::size_t count = 0;
    for (std::size_t y = 0; y < image->height; ++y)
      for (std::size_t x = first; x < end; ++x) {
        const bool is_black = image->pixels[y * image->width + x] == 0;
        CHECK_FALSE((is_black && y >= margin));
        count += is_black ? 1 : 0;
      }
    return count;
  };
  // A 4: its left side, its bar and its upright.
  CHECK(black(0, side + 3) == 3 + 4 + 6);
  CHECK(black(side + 3, image->width) > 100);
  if (side == 200) {
    CHECK(margin == 2 + 10);  // in one line
  } else {
    CHECK(margin > 60);   // turned, since the second is wider than an image
    CHECK(margin < 120);  // and cut
  }
}

TEST_CASE("a grid has no names where one has no form in its font or is high") {
  const TemporaryDirectory dir;
  const auto height = [&](std::size_t side, std::vector<std::string> names) {
    REQUIRE(write_image_grid(
        dir / "g.png",
        images_of({2, 1, side, side}, std::vector<float>(2 * side * side)), 2,
        names));
    return read_image(dir / "g.png")->height - side;
  };
  CHECK(height(30, {"a", "b"}) == 4 + 12);
  CHECK(height(30, {"a", "\u72d0"}) == 4);
  CHECK(height(9, {"a", "b"}) == 4);
}

TEST_CASE("text is of the letters of ASCII, without accents, and short") {
  const auto same = [](const char* a, const char* b) {
    return pixel_text(a)->ink == pixel_text(b)->ink;
  };
  CHECK(same("\u00c9t\u00e9", "Ete"));
  CHECK(same("a fox of seventeen letters", "a fox o..letters"));
  CHECK(same("histology_grade_1", "histolo..grade_1"));
  CHECK(pixel_text("")->width == 0);
  CHECK(pixel_text("lazy dog")->height == 10);
  for (const char* other : {"\u72d0", "\ud55c", "\u0434a", "a\xff", "a\nb"})
    CHECK_FALSE(pixel_text(other));
}

TEST_CASE("a grid has no more columns than images", "[png]") {
  const TemporaryDirectory dir;
  REQUIRE(write_image_grid(dir / "g.png", images_of({1, 1, 1, 1}, {0}), 10));
  const auto image = read_image(dir / "g.png");
  REQUIRE(image);
  CHECK(image->width == 5);
}

TEST_CASE("a grid keeps channels apart and clamps what is out of range",
          "[png]") {
  const TemporaryDirectory dir;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float huge = std::numeric_limits<float>::infinity();
  // Two pixels side by side: red plane, green plane, blue plane.
  REQUIRE(write_image_grid(
      dir / "g.png", images_of({1, 3, 1, 2}, {-1, nan, 1, huge, 0.5F, -huge}),
      1));
  const auto image = read_image(dir / "g.png");
  REQUIRE(image);
  REQUIRE(image->channels == 3);
  const std::size_t area = 5 * 6;
  const std::size_t first = 2 * 6 + 2;
  const auto at = [&](std::size_t c, std::size_t x) {
    return int{image->pixels[c * area + first + x]};
  };
  CHECK(at(0, 0) == 0);
  CHECK(at(0, 1) == 0);
  CHECK(at(1, 0) == 255);
  CHECK(at(1, 1) == 255);
  CHECK(at(2, 0) == std::lround(1.5 * 127.5));
  CHECK(at(2, 1) == 0);
}

}  // namespace
}  // namespace mdgan::test
