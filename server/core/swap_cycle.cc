#include "server/core/swap_cycle.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "common/base/random.h"
#include "common/base/result.h"

namespace mdgan {

namespace {

// Draws of a cycle before a peer is left out of it.
constexpr int kDraws = 64;

std::vector<SwapEdge> draw(std::span<const PeerId> peers, Random& random) {
  const auto order =
      permutation(static_cast<std::uint32_t>(peers.size()), random);
  std::vector<SwapEdge> edges(peers.size());
  for (std::size_t j = 0; j < order.size(); ++j)
    edges[order[j]] = {peers[order[j]], peers[order[(j + 1) % order.size()]]};
  return edges;
}

}  // namespace

std::vector<SwapEdge> draw_swap_cycle(
    std::span<const PeerId> peers, std::uint64_t seed, Round round,
    const std::function<bool(PeerId source, PeerId target)>& avoided) {
  Random random(seed, Purpose::kSwapCycle, 0, round.value);
  std::vector<PeerId> left(peers.begin(), peers.end());
  while (left.size() >= 2) {
    for (int i = 0; i < kDraws; ++i) {
      std::vector<SwapEdge> edges = draw(left, random);
      if (!avoided || std::ranges::none_of(edges, [&](const SwapEdge& edge) {
            return avoided(edge.source, edge.target);
          }))
        return edges;
    }
    const auto count = [&](PeerId peer) {
      return std::ranges::count_if(left, [&](PeerId other) {
        return avoided(peer, other) || avoided(other, peer);
      });
    };
    left.erase(std::ranges::max_element(left, {}, count));
  }
  return {};
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
