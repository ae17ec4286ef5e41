// After Pillow's Resample.c and ImageOps.py: the same operations in the same
// order, so that the results are the same bits. This file is compiled without
// contraction to fused operations, which round otherwise.
#include "common/data/image_fit.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

namespace mdgan {
namespace {

struct Size {
  std::uint32_t height;
  std::uint32_t width;
};

// Where the output lies in one dimension of the input, in pixels. Pillow hands
// these on as floats.
struct Interval {
  float begin;
  float end;
};

constexpr int kBits = 22;  // of the weights behind the point
constexpr double kSupport = 2;

double bicubic(double x) {
  constexpr double kA = -0.5;
  if (x < 0) x = -x;
  if (x < 1) return ((kA + 2) * x - (kA + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * kA;
  return 0;
}

// The inputs that one output is made of.
struct Taps {
  std::uint32_t first;
  std::vector<std::int32_t> weights;
};

Taps taps_at(std::uint32_t at, Interval from, double scale, std::uint32_t in) {
  const double stretch = std::max(scale, 1.0);
  const double support = kSupport * stretch;
  const double center = static_cast<double>(from.begin) + (at + 0.5) * scale;
  const int first =
      std::max(static_cast<int>(std::floor(center - support + 0.5)), 0);
  const int end = std::min(static_cast<int>(std::floor(center + support + 0.5)),
                           static_cast<int>(in));
  const double step = 1.0 / stretch;
  std::vector<double> weights;
  double sum = 0;
  for (int i = 0; i < end - first; ++i) {
    weights.push_back(bicubic((i + first - center + 0.5) * step));
    sum += weights.back();
  }
  Taps taps{static_cast<std::uint32_t>(first), {}};
  for (double weight : weights) {
    if (sum != 0) weight /= sum;
    weight *= 1 << kBits;
    taps.weights.push_back(
        static_cast<std::int32_t>(weight < 0 ? weight - 0.5 : weight + 0.5));
  }
  return taps;
}

std::vector<Taps> taps_of(std::uint32_t in, Interval from, std::uint32_t out) {
  const double scale = static_cast<double>(from.end - from.begin) / out;
  std::vector<Taps> taps;
  for (std::uint32_t i = 0; i < out; ++i)
    taps.push_back(taps_at(i, from, scale, in));
  return taps;
}

// `stride` values lie between those of a pixel and its neighbour.
std::uint8_t weighed(const std::uint8_t* values, std::size_t stride,
                     const Taps& taps) {
  std::int32_t sum = 1 << (kBits - 1);
  values += taps.first * stride;
  for (const std::int32_t weight : taps.weights) {
    sum += weight * *values;
    values += stride;
  }
  return static_cast<std::uint8_t>(std::clamp(sum >> kBits, 0, 255));
}

bool is_whole(std::uint32_t in, Interval from, std::uint32_t out) {
  return in == out && from.begin == 0 && from.end == static_cast<float>(in);
}

// Resamples what lies in `rows` x `columns` of the image, first along the rows.
void resize(Image& image, Interval rows, Interval columns, Size size) {
  const std::size_t planes = image.channels;
  if (!is_whole(image.width, columns, size.width)) {
    const auto taps = taps_of(image.width, columns, size.width);
    std::vector<std::uint8_t> out;
    out.reserve(planes * image.height * size.width);
    for (std::size_t row = 0; row < planes * image.height; ++row)
      for (const Taps& each : taps)
        out.push_back(weighed(&image.pixels[row * image.width], 1, each));
    image.pixels = std::move(out);
    image.width = size.width;
  }
  if (!is_whole(image.height, rows, size.height)) {
    const auto taps = taps_of(image.height, rows, size.height);
    const std::size_t area = std::size_t{image.height} * image.width;
    std::vector<std::uint8_t> out;
    out.reserve(planes * size.height * image.width);
    for (std::size_t plane = 0; plane < planes; ++plane)
      for (const Taps& each : taps)
        for (std::size_t x = 0; x < image.width; ++x)
          out.push_back(
              weighed(&image.pixels[plane * area + x], image.width, each));
    image.pixels = std::move(out);
    image.height = size.height;
  }
}

Interval all(std::uint32_t side) { return {0, static_cast<float>(side)}; }

// The middle `length` of a side.
Interval middle(std::uint32_t side, double length) {
  const double begin = (side - length) * 0.5;
  return {static_cast<float>(begin), static_cast<float>(begin + length)};
}

void crop(Image& image, Size size) {
  const double ratio = static_cast<double>(image.width) / image.height;
  const double wanted = static_cast<double>(size.width) / size.height;
  Interval rows = all(image.height);
  Interval columns = all(image.width);
  if (ratio > wanted)
    columns = middle(image.width, wanted * image.height);
  else if (ratio < wanted)
    rows = middle(image.height, image.width / wanted);
  resize(image, rows, columns, size);
}

// Rounds halves to the even number, as Python does.
std::uint32_t rounded(double value) {
  return static_cast<std::uint32_t>(std::max(1.0, std::nearbyint(value)));
}

// The size within `size` that keeps the ratio of the image's sides.
Size contained(const Image& image, Size size) {
  const double width = image.width;
  const double height = image.height;
  const double ratio = width / height;
  const double wanted = static_cast<double>(size.width) / size.height;
  if (ratio > wanted)
    size.height = rounded(height / width * size.width);
  else if (ratio < wanted)
    size.width = rounded(width / height * size.height);
  return size;
}

// Where a part of a side begins that lies in its middle.
std::size_t margin(std::uint32_t side, std::uint32_t part) {
  return static_cast<std::size_t>(std::nearbyint((side - part) * 0.5));
}

void pad(Image& image, Size size) {
  const Size inner = contained(image, size);
  resize(image, all(image.height), all(image.width), inner);
  if (inner.height == size.height && inner.width == size.width) return;
  const std::size_t top = margin(size.height, inner.height);
  const std::size_t left = margin(size.width, inner.width);
  const std::size_t area = std::size_t{size.height} * size.width;
  std::vector<std::uint8_t> out(image.channels * area);
  auto from = image.pixels.begin();
  for (std::size_t plane = 0; plane < image.channels; ++plane)
    for (std::size_t y = 0; y < inner.height; ++y) {
      const auto next = from + inner.width;
      std::copy(
          from, next,
          out.begin() + static_cast<std::ptrdiff_t>(
                            plane * area + (top + y) * size.width + left));
      from = next;
    }
  image.pixels = std::move(out);
  image.height = size.height;
  image.width = size.width;
}

// ITU-R 601's luma with weights of 16 bits.
void make_grey(Image& image) {
  const std::size_t area = std::size_t{image.height} * image.width;
  for (std::size_t i = 0; i < area; ++i)
    image.pixels[i] = static_cast<std::uint8_t>(
        (image.pixels[i] * 19595U + image.pixels[area + i] * 38470U +
         image.pixels[2 * area + i] * 7471U + 0x8000U) >>
        16);
  image.pixels.resize(area);
  image.channels = 1;
}

void make_rgb(Image& image) {
  const std::size_t area = image.pixels.size();
  image.pixels.resize(3 * area);
  const auto grey = image.pixels.begin();
  const auto next = grey + static_cast<std::ptrdiff_t>(area);
  std::copy(grey, next, std::copy(grey, next, next));
  image.channels = 3;
}

}  // namespace

bool has_size(const Image& image, const ImageReading& reading) {
  return !reading.has_size() ||
         (image.height == reading.height && image.width == reading.width);
}

void fit_image(Image& image, const ImageReading& reading) {
  if (reading.channels == 1 && image.channels == 3) make_grey(image);
  if (!has_size(image, reading)) {
    const Size size{reading.height, reading.width};
    if (reading.fit == Fit::kCrop)
      crop(image, size);
    else
      pad(image, size);
  }
  if (reading.channels == 3 && image.channels == 1) make_rgb(image);
}

}  // namespace mdgan
