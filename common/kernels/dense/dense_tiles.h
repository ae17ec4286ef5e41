// How the products of dense layers are cut into tiles that fit the registers.
// Included like dense_kernel_impl.h, once for each instruction set.
#pragma once

#include <cstddef>

#include "common/kernels/dense/dense_kernel.h"
#include "common/kernels/dense/dense_vector.h"

namespace mdgan {
namespace {

using Range = DenseRange;

// AVX-512 has 32 registers, the others have 16. The sums of a tile of kTile
// samples by four vectors fit into them, with the operands.
constexpr std::size_t kTile = kLanes == 16 ? 6 : 3;
// So many samples stay in the second-level cache while the weights stream
// through.
constexpr std::size_t kPanel = 48;

// std::min would not do: the linker would share its instances between the
// instruction sets.
constexpr std::size_t least(std::size_t a, std::size_t b) {
  return a < b ? a : b;
}

constexpr std::size_t tiles_of(std::size_t n) {
  return (n + kTile - 1) / kTile;
}

template <std::size_t kSize>
struct Samples {
  static constexpr std::size_t value = kSize;
};

// Calls use(first sample, Samples<size>) for tiles that share n out evenly.
template <class Use>
MDGAN_INLINE void in_tiles(std::size_t n, const Use& use) {
  for (std::size_t s = 0; s < n;) {
    const std::size_t tiles = tiles_of(n - s);
    const std::size_t size = (n - s + tiles - 1) / tiles;
    switch (size) {
      case 1:
        use(s, Samples<1>{});
        break;
      case 2:
        use(s, Samples<2>{});
        break;
      case 3:
        use(s, Samples<3>{});
        break;
#if MDGAN_LANES == 16
      case 4:
        use(s, Samples<4>{});
        break;
      case 5:
        use(s, Samples<5>{});
        break;
      default:
        use(s, Samples<6>{});
#endif
    }
    s += size;
  }
}

}  // namespace
}  // namespace mdgan
