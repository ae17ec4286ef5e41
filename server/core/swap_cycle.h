// Which discriminator goes where: one cyclic permutation of the peers.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "common/base/ids.h"

namespace mdgan {

struct SwapEdge {
  PeerId source;
  PeerId target;
  friend bool operator==(const SwapEdge&, const SwapEdge&) = default;
};

// Draws the cycle of a round's swap from (seed, round): every peer sends to one
// other and receives from one other, for any number of peers >= 2, odd too.
// Algorithm 1 of Hardy et al. 2019, procedure SWAP, made a cycle so that nobody
// sends to itself. REQUIRES: distinct peers. Edges come in the order of
// `peers`.
//
// No edge is one that `avoided` says true of: the cycle is drawn anew, and
// where that does not help, the peers with the most such edges are left out.
// Empty when fewer than two peers are left.
std::vector<SwapEdge> draw_swap_cycle(
    std::span<const PeerId> peers, std::uint64_t seed, Round round,
    const std::function<bool(PeerId source, PeerId target)>& avoided = {});

// S = max(1, floor(m E / b)): rounds between swaps, m the smallest shard.
// 0 when E is 0: never.
std::uint64_t swap_period(std::uint64_t smallest_shard, double epochs,
                          std::uint32_t batch);

// k = max(2, floor(log2 N)) capped at N: the default number of batches.
std::uint32_t default_k(std::uint32_t peers);

}  // namespace mdgan
