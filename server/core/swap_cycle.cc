#include "server/core/swap_cycle.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "common/base/random.h"
#include "common/base/result.h"

namespace mdgan {

std::vector<SwapEdge> draw_swap_cycle(std::span<const PeerId> peers,
                                      std::uint64_t seed, Round round) {
  MDGAN_CHECK(peers.size() >= 2);
  Random random(seed, Purpose::kSwapCycle, 0, round.value);
  const auto order =
      permutation(static_cast<std::uint32_t>(peers.size()), random);
  std::vector<SwapEdge> edges(peers.size());
  for (std::size_t j = 0; j < order.size(); ++j)
    edges[order[j]] = {peers[order[j]], peers[order[(j + 1) % order.size()]]};
  return edges;
}

std::uint64_t swap_period(std::uint64_t smallest_shard, double epochs,
                          std::uint32_t batch) {
  if (epochs <= 0) return 0;
  const double rounds =
      std::floor(static_cast<double>(smallest_shard) * epochs / batch);
  // Beyond 2^53 rounds a double no longer counts; nobody trains that long.
  return static_cast<std::uint64_t>(std::clamp(rounds, 1.0, 0x1p53));
}

std::uint32_t default_k(std::uint32_t peers) {
  if (peers == 0) return 1;
  const auto log2 = static_cast<std::uint32_t>(std::bit_width(peers)) - 1;
  return std::min(peers, std::max(2U, log2));
}

}  // namespace mdgan
