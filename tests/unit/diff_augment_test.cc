#include "common/augment/diff_augment.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/support/catch.h"

namespace mdgan::test {
namespace {

const ImageShape kColour{3, 9, 12, 0};

std::vector<float> numbers(std::size_t count, std::uint64_t seed) {
  std::vector<float> values(count);
  Random random(seed, Purpose::kSimulation);
  random.fill_normal(values);
  return values;
}

double dot(const std::vector<float>& a, const std::vector<float>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

TEST_CASE("The adjoint of the augmentation is one: <A x, g> = <x, A' g>") {
  for (const ImageShape shape : {kColour, ImageShape{1, 28, 28, 10}})
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
      INFO("seed " << seed << ", " << shape.channels << " channels");
      Random random(seed, Purpose::kSimulation, 1);
      const auto changes = draw_augmentations(4, shape, random);
      const auto x = numbers(4 * shape.values(), seed);
      const auto g = numbers(4 * shape.values(), seed + 1000);
      auto changed = x;
      augment(changes, shape, changed);
      std::vector<float> offset(x.size());  // T 0 = a
      augment(changes, shape, offset);
      for (std::size_t i = 0; i < x.size(); ++i) changed[i] -= offset[i];
      auto back = g;
      augment_adjoint(changes, shape, back);
      CHECK(dot(changed, g) == Approx(dot(x, back)).margin(1e-3));
    }
}

TEST_CASE("Each change does what it says") {
  const ImageShape shape{2, 2, 4, 0};
  std::vector<float> image{1, 2, 3, 4, 5, 6, 7, 8,  //
                           3, 2, 1, 0, 5, 6, 7, 8};
  SECTION("brightness") {
    augment(std::vector{Augmentation{.brightness = 0.5}}, shape, image);
    CHECK(image[0] == 1.5);
    CHECK(image[15] == 8.5);
  }
  SECTION("saturation 0 makes the channels equal") {
    augment(std::vector{Augmentation{.saturation = 0}}, shape, image);
    CHECK(image[0] == 2);
    CHECK(image[8] == 2);
    CHECK(image[7] == 8);
  }
  SECTION("contrast keeps the mean") {
    const double mean = std::accumulate(image.begin(), image.end(), 0.0) / 16;
    augment(std::vector{Augmentation{.contrast = 0.5}}, shape, image);
    CHECK(std::accumulate(image.begin(), image.end(), 0.0) / 16 ==
          Approx(mean));
    CHECK(image[0] == Approx(0.5 + mean / 2));
  }
  SECTION("a shift fills with zeros") {
    augment(std::vector{Augmentation{.down = 1, .right = -1}}, shape, image);
    CHECK(image == std::vector<float>{0, 0, 0, 0, 2, 3, 4, 0,  //
                                      0, 0, 0, 0, 2, 1, 0, 0});
  }
  SECTION("a cut may lie partly outside") {
    augment(std::vector{Augmentation{
                .top = -1, .bottom = 1, .left = 2, .right_end = 6}},
            shape, image);
    CHECK(image == std::vector<float>{1, 2, 0, 0, 5, 6, 7, 8,  //
                                      3, 2, 0, 0, 5, 6, 7, 8});
  }
}

TEST_CASE("Augmentations are drawn over the whole of their ranges") {
  Random random(1, Purpose::kSimulation);
  const auto changes = draw_augmentations(4000, {1, 32, 32, 0}, random);
  const auto range = [&](auto member) {
    const auto [low, high] = std::ranges::minmax_element(
        changes, {}, [&](const Augmentation& c) { return c.*member; });
    return std::pair((*low).*member, (*high).*member);
  };
  const auto [dark, bright] = range(&Augmentation::brightness);
  CHECK((dark >= -0.5 && dark < -0.49 && bright <= 0.5 && bright > 0.49));
  const auto [grey, vivid] = range(&Augmentation::saturation);
  CHECK((grey >= 0 && grey < 0.02 && vivid <= 2 && vivid > 1.98));
  const auto [flat, sharp] = range(&Augmentation::contrast);
  CHECK((flat >= 0.5 && flat < 0.51 && sharp <= 1.5 && sharp > 1.49));
  CHECK(range(&Augmentation::down) == std::pair(-4, 4));
  CHECK(range(&Augmentation::right) == std::pair(-4, 4));
  CHECK(range(&Augmentation::top) == std::pair(-8, 23));
  for (const Augmentation& change : changes) {
    CHECK(change.bottom - change.top == 16);
    CHECK(change.right_end - change.left == 16);
  }
}

TEST_CASE("Each change happens with the probability that is asked for") {
  constexpr int kImages = 4000;
  for (const double p : {0.0, 0.25, 0.8}) {
    Random random(1, Purpose::kSimulation);
    const auto changes = draw_augmentations(kImages, {1, 32, 32, 0}, random, p);
    const auto share = [&](auto happened) {
      return static_cast<double>(std::ranges::count_if(changes, happened)) /
             kImages;
    };
    const auto bright = [](const Augmentation& c) { return c.brightness != 0; };
    const auto vivid = [](const Augmentation& c) { return c.saturation != 1; };
    const auto sharp = [](const Augmentation& c) { return c.contrast != 1; };
    const auto cut = [](const Augmentation& c) { return c.bottom > c.top; };
    const auto moved = [](const Augmentation& c) {
      return c.down != 0 || c.right != 0;
    };
    const double margin = 4 * std::sqrt(p * (1 - p) / kImages) + 1e-9;
    INFO(p);
    CHECK(share(bright) == Approx(p).margin(margin));
    CHECK(share(vivid) == Approx(p).margin(margin));
    CHECK(share(sharp) == Approx(p).margin(margin));
    CHECK(share(cut) == Approx(p).margin(margin));
    // One of 81 shifts is none.
    CHECK(share(moved) == Approx(p * 80 / 81).margin(margin));
    // One does not bring another along.
    CHECK(share([&](const Augmentation& c) { return bright(c) && cut(c); }) ==
          Approx(p * p).margin(margin));
  }
}

}  // namespace
}  // namespace mdgan::test
