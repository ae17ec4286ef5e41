// Winograd's minimal filtering F(2x2, 2x2) for the convolution that halves an
// image: a kernel of 4x4, stride 2, padding 1. It is a sum of four convolutions
// of 2x2 and stride 1, one for each phase: every other row and every other
// column of images and kernel. A tile of 2x2 results of such a convolution
// takes 16 products for each channel, or 9 in the Winograd domain, one at each
// of 9 points: Lavin and Gray 2015 (arXiv 1509.09308); with strides, Huang et
// al. 2020 (arXiv 2002.00552). The functions here are the transforms of images,
// filters and results to the points and back: sums and differences, and for
// gradients the transposed ones. At each point the sum over channels is a
// product of matrices, which the caller computes (halving_convolution.h). No
// LibTorch.
//
// Arrays are float32 in NHWC: images [n, height, width, in], weights
// [out, 4, 4, in], results [n, height / 2, width / 2, out]. In the Winograd
// domain each has one matrix for each point: images [tiles, 4 * in] and weights
// [out, 4 * in], whose columns are the channels of each phase in turn, and
// results [tiles, out].
#pragma once

#include <cstdint>

namespace mdgan {

inline constexpr std::int64_t kWinogradPoints = 9;
inline constexpr std::int64_t kWinogradPhases = 4;
// The numbers of channels, in and out, are multiples of this.
inline constexpr std::int64_t kWinogradChannels = 32;
// Heights and widths of images are multiples of this: a tile of results is
// computed from so many rows and columns, and one more on every side.
inline constexpr std::int64_t kWinogradTile = 4;
inline constexpr std::int64_t kWinogradKernel = 4;

struct HalvingSize {
  std::int64_t n = 0, in = 0, height = 0, width = 0, out = 0;

  std::int64_t tiles_of_image() const {
    return height / kWinogradTile * (width / kWinogradTile);
  }
  // The number of values of one image, filter or result.
  std::int64_t image() const { return height * width * in; }
  std::int64_t filter() const { return kWinogradKernel * kWinogradKernel * in; }
  std::int64_t result() const { return height / 2 * (width / 2) * out; }
};

// One row-major matrix for each point.
struct AtPoints {
  float* data = nullptr;
  std::int64_t rows = 0, columns = 0;

  // The distance from one point's matrix to the next one's. Sizes are mostly
  // powers of two: without the padding a row's points would all fall into the
  // same few sets of a cache.
  std::int64_t step() const { return rows * columns + kWinogradChannels; }
  std::int64_t size() const { return kWinogradPoints * step(); }
  float* point(std::int64_t i) const { return data + i * step(); }
};

// Each function transforms image `i`, or filter `o`, and overwrites what was
// there of it. Threads may do so at once for different `i` or `o`.
void image_to_points(const HalvingSize& size, std::int64_t i,
                     const float* images, AtPoints to);
void points_to_image(const HalvingSize& size, std::int64_t i, AtPoints from,
                     float* images);
void filter_to_points(const HalvingSize& size, std::int64_t o,
                      const float* weights, AtPoints to);
void points_to_filter(const HalvingSize& size, std::int64_t o, AtPoints from,
                      float* weights);
void result_to_points(const HalvingSize& size, std::int64_t i,
                      const float* results, AtPoints to);
// Also adds `bias` [out] and applies LeakyReLU of this slope; slope 1 is no
// activation.
void points_to_result(const HalvingSize& size, std::int64_t i, AtPoints from,
                      const float* bias, float slope, float* results);

// The sum of all results of each channel.
void sum_results(const HalvingSize& size, const float* results, float* sums);

}  // namespace mdgan
