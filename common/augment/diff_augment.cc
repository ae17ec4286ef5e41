#include "common/augment/diff_augment.h"

#include <algorithm>
#include <cstddef>
#include <numeric>

#include "common/base/result.h"

namespace mdgan {
namespace {

float uniform(Random& random, double low, double high) {
  return static_cast<float>(low + (high - low) * random.uniform());
}

std::int32_t between(Random& random, std::int32_t low, std::int32_t high) {
  const std::int64_t values = std::int64_t{high} - low + 1;
  return low + static_cast<std::int32_t>(
                   random.below(static_cast<std::uint64_t>(values)));
}

// One image [c, h, w], and what a row and a channel of it are.
struct Image {
  std::span<float> values;
  const ImageShape& shape;
  std::size_t plane() const { return std::size_t{shape.height} * shape.width; }
  float* row(std::uint32_t channel, std::int32_t y) const {
    return values.data() + channel * plane() +
           static_cast<std::size_t>(y) * shape.width;
  }
};

// x = factor * x + (1 - factor) * mean of the image: symmetric, and so its own
// adjoint.
void scale_about_mean(const Image& image, float factor) {
  const double sum =
      std::accumulate(image.values.begin(), image.values.end(), 0.0);
  const auto shift =
      static_cast<float>((1.0 - static_cast<double>(factor)) * sum /
                         static_cast<double>(image.values.size()));
  for (float& value : image.values) value = factor * value + shift;
}

// The same about the mean of each pixel's channels, and symmetric likewise.
void scale_about_grey(const Image& image, float factor) {
  const std::size_t plane = image.plane();
  const std::uint32_t channels = image.shape.channels;
  if (channels == 1) return;  // the pixel is its own mean
  for (std::size_t i = 0; i < plane; ++i) {
    float sum = 0;
    for (std::uint32_t c = 0; c < channels; ++c)
      sum += image.values[c * plane + i];
    const float shift = (1 - factor) * sum / static_cast<float>(channels);
    for (std::uint32_t c = 0; c < channels; ++c) {
      float& value = image.values[c * plane + i];
      value = factor * value + shift;
    }
  }
}

// The adjoint of a shift is the shift back.
void shift(const Image& image, std::int32_t down, std::int32_t right) {
  const auto height = static_cast<std::int32_t>(image.shape.height);
  const auto width = static_cast<std::int32_t>(image.shape.width);
  for (std::uint32_t c = 0; c < image.shape.channels; ++c)
    for (std::int32_t i = 0; i < height; ++i) {
      // In the order in which no row is overwritten before it is read.
      const std::int32_t y = down > 0 ? height - 1 - i : i;
      float* const to = image.row(c, y);
      const std::int32_t from = y - down;
      if (from < 0 || from >= height) {
        std::fill_n(to, width, 0.0F);
        continue;
      }
      const float* const row = image.row(c, from);
      if (right >= 0) {
        std::copy_backward(row, row + width - right, to + width);
        std::fill_n(to, right, 0.0F);
      } else {
        std::copy(row - right, row + width, to);
        std::fill_n(to + width + right, -right, 0.0F);
      }
    }
}

// A projection, and so its own adjoint.
void cut_out(const Image& image, const Augmentation& change) {
  const auto height = static_cast<std::int32_t>(image.shape.height);
  const auto width = static_cast<std::int32_t>(image.shape.width);
  const std::int32_t left = std::clamp(change.left, 0, width);
  const std::int32_t end = std::clamp(change.right_end, left, width);
  for (std::uint32_t c = 0; c < image.shape.channels; ++c)
    for (std::int32_t y = std::clamp(change.top, 0, height);
         y < std::clamp(change.bottom, 0, height); ++y)
      std::fill_n(image.row(c, y) + left, end - left, 0.0F);
}

// Takes each change back with probability 1 - `probability`.
void thin_out(Augmentation& change, double probability, Random& random) {
  constexpr Augmentation kNothing;
  const auto happens = [&] { return random.uniform() < probability; };
  if (!happens()) change.brightness = kNothing.brightness;
  if (!happens()) change.saturation = kNothing.saturation;
  if (!happens()) change.contrast = kNothing.contrast;
  if (!happens()) change.down = change.right = 0;
  if (!happens())
    change.top = change.bottom = change.left = change.right_end = 0;
}

template <typename Change>
void for_each_image(std::span<const Augmentation> changes,
                    const ImageShape& shape, std::span<float> values,
                    Change change) {
  const std::size_t size = shape.values();
  MDGAN_CHECK(values.size() == changes.size() * size);
  for (std::size_t i = 0; i < changes.size(); ++i)
    change(Image{values.subspan(i * size, size), shape}, changes[i]);
}

}  // namespace

std::vector<Augmentation> draw_augmentations(std::size_t count,
                                             const ImageShape& shape,
                                             Random& random,
                                             double probability) {
  const auto height = static_cast<std::int32_t>(shape.height);
  const auto width = static_cast<std::int32_t>(shape.width);
  std::vector<Augmentation> changes(count);
  for (Augmentation& change : changes) {
    change.brightness = uniform(random, -0.5, 0.5);
    change.saturation = uniform(random, 0, 2);
    change.contrast = uniform(random, 0.5, 1.5);
    change.down = between(random, -(height / 8), height / 8);
    change.right = between(random, -(width / 8), width / 8);
    // The middle of the cut is anywhere in the image.
    change.top = between(random, 0, height - 1) - height / 4;
    change.bottom = change.top + height / 2;
    change.left = between(random, 0, width - 1) - width / 4;
    change.right_end = change.left + width / 2;
    if (probability < 1) thin_out(change, probability, random);
  }
  return changes;
}

void augment(std::span<const Augmentation> changes, const ImageShape& shape,
             std::span<float> images) {
  for_each_image(changes, shape, images,
                 [](const Image& image, const Augmentation& change) {
                   for (float& value : image.values) value += change.brightness;
                   scale_about_grey(image, change.saturation);
                   scale_about_mean(image, change.contrast);
                   shift(image, change.down, change.right);
                   cut_out(image, change);
                 });
}

void augment_adjoint(std::span<const Augmentation> changes,
                     const ImageShape& shape, std::span<float> gradients) {
  for_each_image(changes, shape, gradients,
                 [](const Image& gradient, const Augmentation& change) {
                   cut_out(gradient, change);
                   shift(gradient, -change.down, -change.right);
                   scale_about_mean(gradient, change.contrast);
                   scale_about_grey(gradient, change.saturation);
                 });
}

}  // namespace mdgan
