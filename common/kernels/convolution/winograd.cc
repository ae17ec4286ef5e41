// Compiled with -O3, for loops over a few vectors to be unrolled, and
// -Wno-psabi: no vector wider than the processor's is passed to a function,
// whatever g++ thinks.
#include "common/kernels/convolution/winograd.h"

#include <algorithm>
#include <cstdint>

#define MDGAN_LANES 8
#include "common/kernels/vector.h"

namespace mdgan {
namespace {

constexpr std::int64_t kBlock = kWinogradChannels;
constexpr std::int64_t kLanes = MDGAN_LANES;

MDGAN_INLINE void add(float* p, V v) { store(p, load(p) + v); }

// Side of the patch of an image that a tile of results is computed from: the
// tile's own rows and columns and one more on every side.
constexpr std::int64_t kPatch = kWinogradTile + 2;
constexpr std::int64_t kSide = 3;  // points in a row

using Patch = float[kPatch][kPatch][kBlock];

// --- 2x2 to 3x3 points and back: weights of a phase, and results -------------

// The places of rows and columns 0 and 1: (0, 0), (0, 1), (1, 0), (1, 1).
template <typename Float>
struct Square {
  Float* at[4];
};

MDGAN_INLINE void expand(const Square<const float>& from, float* to,
                         std::int64_t step) {
  for (std::int64_t i = 0; i < kBlock; i += kLanes) {
    const V a = load(from.at[0] + i), b = load(from.at[1] + i);
    const V c = load(from.at[2] + i), d = load(from.at[3] + i);
    const V points[kSide][kSide] = {
        {a, a + b, b}, {a + c, (a + b) + (c + d), b + d}, {c, c + d, d}};
    for (std::int64_t row = 0; row < kSide; ++row)
      for (std::int64_t column = 0; column < kSide; ++column)
        store(to + (row * kSide + column) * step + i, points[row][column]);
  }
}

// The transposed map. finish(channel's place in the block, values) returns what
// is written.
template <typename Finish>
MDGAN_INLINE void reduce(const float* from, std::int64_t step,
                         const Square<float>& to, const Finish& finish) {
  for (std::int64_t i = 0; i < kBlock; i += kLanes) {
    V at[kWinogradPoints];
    for (std::int64_t point = 0; point < kWinogradPoints; ++point)
      at[point] = load(from + point * step + i);
    const V left = at[3] + at[4], right = at[4] + at[5];
    const V square[] = {(at[0] + at[1]) + left, (at[1] + at[2]) + right,
                        left + (at[6] + at[7]), right + (at[7] + at[8])};
    for (std::int64_t k = 0; k < 4; ++k)
      store(to.at[k] + i, finish(i, square[k]));
  }
}

// Calls use(weights of one phase of filter o, their place in the Winograd
// domain) for each phase and block of channels.
template <typename Float, typename Use>
MDGAN_INLINE void each_phase(const HalvingSize& size, std::int64_t o,
                             Float* weights, const AtPoints& points,
                             const Use& use) {
  Float* filter = weights + o * size.filter();
  float* row = points.data + o * kWinogradPhases * size.in;
  for (std::int64_t phase = 0; phase < kWinogradPhases; ++phase) {
    Float* first = filter + (phase / 2 * kWinogradKernel + phase % 2) * size.in;
    for (std::int64_t c = 0; c < size.in; c += kBlock) {
      Float* at = first + c;
      Float* below = at + 2 * kWinogradKernel * size.in;
      use(Square<Float>{{at, at + 2 * size.in, below, below + 2 * size.in}},
          row + phase * size.in + c);
    }
  }
}

// Calls use(results of a tile, their place in the Winograd domain, channel) for
// each tile of image i and block of channels.
template <typename Float, typename Use>
MDGAN_INLINE void each_tile(const HalvingSize& size, std::int64_t i,
                            Float* results, const AtPoints& points,
                            const Use& use) {
  const std::int64_t rows = size.height / kWinogradTile;
  const std::int64_t columns = size.width / kWinogradTile;
  const std::int64_t line = 2 * columns * size.out;  // of the result
  float* at_points = points.data + i * rows * columns * size.out;
  for (std::int64_t y = 0; y < rows; ++y) {
    for (std::int64_t x = 0; x < columns; ++x, at_points += size.out) {
      Float* tile = results + (i * rows + y) * 2 * line + 2 * x * size.out;
      for (std::int64_t c = 0; c < size.out; c += kBlock) {
        Float* at = tile + c;
        use(Square<Float>{{at, at + size.out, at + line, at + line + size.out}},
            at_points + c, c);
      }
    }
  }
}

MDGAN_INLINE void filter_in(const HalvingSize& size, std::int64_t o,
                            const float* weights, AtPoints to) {
  each_phase(size, o, weights, to,
             [&](const auto& from, float* at) { expand(from, at, to.step()); });
}

MDGAN_INLINE void filter_out(const HalvingSize& size, std::int64_t o,
                             AtPoints from, float* weights) {
  each_phase(size, o, weights, from, [&](const auto& to, const float* at) {
    reduce(at, from.step(), to,
           [](std::int64_t, V x) MDGAN_INLINE_LAMBDA { return x; });
  });
}

MDGAN_INLINE void result_in(const HalvingSize& size, std::int64_t i,
                            const float* results, AtPoints to) {
  each_tile(size, i, results, to,
            [&](const auto& from, float* at, std::int64_t) {
              expand(from, at, to.step());
            });
}

MDGAN_INLINE void result_out(const HalvingSize& size, std::int64_t i,
                             AtPoints from, const float* bias, float slope,
                             float* results) {
  each_tile(size, i, results, from,
            [&](const auto& to, const float* at, std::int64_t channel) {
              const float* b = bias + channel;
              reduce(at, from.step(), to,
                     [&](std::int64_t c, V x) MDGAN_INLINE_LAMBDA {
                       const V y = x + load(b + c);
                       return y > 0 ? y : y * slope;
                     });
            });
}

// --- the patch of 6x6 that a tile is computed from, and back -----------------

// Calls use(row of the patch, addresses of its pixels) for those rows of tile
// (y, x)'s patch that are inside the image. Pixels of these that are outside
// have the address `outside`.
template <typename Float, typename Use>
MDGAN_INLINE void each_row(const HalvingSize& size, Float* image,
                           std::int64_t y, std::int64_t x, Float* outside,
                           const Use& use) {
  for (std::int64_t row = 0; row < kPatch; ++row) {
    const std::int64_t top = y * kWinogradTile + row;  // 1 is the image's first
    if (top < 1 || top > size.height) continue;
    Float* pixels[kPatch];
    for (std::int64_t column = 0; column < kPatch; ++column) {
      const std::int64_t left = x * kWinogradTile + column;
      const bool inside = left >= 1 && left <= size.width;
      pixels[column] =
          inside ? image + ((top - 1) * size.width + left - 1) * size.in
                 : outside;
    }
    use(row, pixels);
  }
}

// The offset of a patch's phase (in row `row` of the phases) and point (in
// column `column` of the points, whose rows are kSide points apart). The first
// map leaves, as a patch's columns, the points of both phases in turn.
MDGAN_INLINE std::int64_t place(const HalvingSize& size, std::int64_t step,
                                std::int64_t row, std::int64_t column) {
  const std::int64_t phase = 2 * row + column / kSide;
  return column % kSide * step + phase * size.in;
}

MDGAN_INLINE void patch_to_points(const HalvingSize& size, const Patch& half,
                                  float* to, std::int64_t step) {
  for (std::int64_t row = 0; row < 2; ++row) {
    for (std::int64_t column = 0; column < kPatch; ++column) {
      float* at = to + place(size, step, row, column);
      for (std::int64_t i = 0; i < kBlock; i += kLanes) {
        const V middle = load(half[row + 2][column] + i);
        store(at + i, load(half[row][column] + i) - middle);
        store(at + kSide * step + i, middle);
        store(at + 2 * kSide * step + i,
              load(half[row + 4][column] + i) - middle);
      }
    }
  }
}

MDGAN_INLINE void points_to_patch(const HalvingSize& size, const float* from,
                                  std::int64_t step, Patch& half) {
  for (std::int64_t row = 0; row < 2; ++row) {
    for (std::int64_t column = 0; column < kPatch; ++column) {
      const float* at = from + place(size, step, row, column);
      for (std::int64_t i = 0; i < kBlock; i += kLanes) {
        const V first = load(at + i), last = load(at + 2 * kSide * step + i);
        store(half[row][column] + i, first);
        store(half[row + 2][column] + i,
              load(at + kSide * step + i) - (first + last));
        store(half[row + 4][column] + i, last);
      }
    }
  }
}

MDGAN_INLINE void image_in(const HalvingSize& size, std::int64_t i,
                           const float* images, AtPoints to) {
  static constexpr float kZeros[kBlock] = {};
  const std::int64_t rows = size.height / kWinogradTile;
  const std::int64_t columns = size.width / kWinogradTile;
  const float* image = images + i * size.image();
  float* at = to.data + i * rows * columns * to.columns;
  for (std::int64_t y = 0; y < rows; ++y) {
    for (std::int64_t x = 0; x < columns; ++x, at += to.columns) {
      for (std::int64_t c = 0; c < size.in; c += kBlock) {
        Patch half = {};
        each_row(size, image + c, y, x, kZeros,
                 [&](std::int64_t row, const auto& pixels) {
                   for (std::int64_t phase = 0; phase < 2; ++phase) {
                     auto* out = half[row] + kSide * phase;
                     for (std::int64_t k = 0; k < kBlock; k += kLanes) {
                       const V middle = load(pixels[phase + 2] + k);
                       store(out[0] + k, load(pixels[phase] + k) - middle);
                       store(out[1] + k, middle);
                       store(out[2] + k, load(pixels[phase + 4] + k) - middle);
                     }
                   }
                 });
        patch_to_points(size, half, at + c, to.step());
      }
    }
  }
}

MDGAN_INLINE void image_out(const HalvingSize& size, std::int64_t i,
                            AtPoints from, float* images) {
  const std::int64_t rows = size.height / kWinogradTile;
  const std::int64_t columns = size.width / kWinogradTile;
  float* image = images + i * size.image();
  std::fill_n(image, size.image(), 0.0F);
  const float* at = from.data + i * rows * columns * from.columns;
  float outside[kBlock] = {};
  for (std::int64_t y = 0; y < rows; ++y) {
    for (std::int64_t x = 0; x < columns; ++x, at += from.columns) {
      for (std::int64_t c = 0; c < size.in; c += kBlock) {
        Patch half;
        points_to_patch(size, at + c, from.step(), half);
        each_row(size, image + c, y, x, outside,
                 [&](std::int64_t row, const auto& pixels) {
                   for (std::int64_t phase = 0; phase < 2; ++phase) {
                     const auto* in = half[row] + kSide * phase;
                     for (std::int64_t k = 0; k < kBlock; k += kLanes) {
                       const V first = load(in[0] + k), last = load(in[2] + k);
                       const V middle = load(in[1] + k) - (first + last);
                       add(pixels[phase] + k, first);
                       add(pixels[phase + 2] + k, middle);
                       add(pixels[phase + 4] + k, last);
                     }
                   }
                 });
      }
    }
  }
}

MDGAN_INLINE void sum(const HalvingSize& size, const float* results,
                      float* sums) {
  const std::int64_t pixels = size.n * (size.height / 2) * (size.width / 2);
  std::fill_n(sums, size.out, 0.0F);
  for (std::int64_t i = 0; i < pixels; ++i, results += size.out)
    for (std::int64_t o = 0; o < size.out; o += kLanes)
      add(sums + o, load(results + o));
}

// --- by the processor --------------------------------------------------------

// This is written by hand, as the resolver of target_clones runs before the
// sanitizers are set up.
template <auto kMap, typename... Arguments>
#if defined(__x86_64__)
[[gnu::target("avx2")]]
#endif
void by_avx2(Arguments... arguments) {
  kMap(arguments...);
}

template <auto kMap, typename... Arguments>
void by_any(Arguments... arguments) {
  kMap(arguments...);
}

// The transforms wait for memory, so wider vectors would gain nothing.
template <auto kMap, typename... Arguments>
void map(const Arguments&... arguments) {
#if defined(__x86_64__)
  static const bool has_avx2 = __builtin_cpu_supports("avx2") != 0;
  if (has_avx2) return by_avx2<kMap>(arguments...);
#endif
  by_any<kMap>(arguments...);
}

}  // namespace

void image_to_points(const HalvingSize& size, std::int64_t i,
                     const float* images, AtPoints to) {
  map<image_in>(size, i, images, to);
}

void points_to_image(const HalvingSize& size, std::int64_t i, AtPoints from,
                     float* images) {
  map<image_out>(size, i, from, images);
}

void filter_to_points(const HalvingSize& size, std::int64_t o,
                      const float* weights, AtPoints to) {
  map<filter_in>(size, o, weights, to);
}

void points_to_filter(const HalvingSize& size, std::int64_t o, AtPoints from,
                      float* weights) {
  map<filter_out>(size, o, from, weights);
}

void result_to_points(const HalvingSize& size, std::int64_t i,
                      const float* results, AtPoints to) {
  map<result_in>(size, i, results, to);
}

void points_to_result(const HalvingSize& size, std::int64_t i, AtPoints from,
                      const float* bias, float slope, float* results) {
  map<result_out>(size, i, from, bias, slope, results);
}

void sum_results(const HalvingSize& size, const float* results, float* sums) {
  map<sum>(size, results, sums);
}

}  // namespace mdgan
