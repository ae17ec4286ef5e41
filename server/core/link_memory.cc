#include "server/core/link_memory.h"

#include <algorithm>

namespace mdgan {

std::uint64_t LinkMemory::failed(PeerId source, PeerId target) {
  Link& link = links_[{source, target}];
  link.failures = std::min(link.failures + 1, 4U);
  const std::uint64_t swaps = std::uint64_t{1} << (2 * link.failures);
  link.avoided_until = swaps_ + swaps + 1;
  return swaps;
}

void LinkMemory::forget(PeerId peer) {
  std::erase_if(links_, [&](const auto& entry) {
    return entry.first.first == peer || entry.first.second == peer;
  });
}

bool LinkMemory::avoided(PeerId source, PeerId target) const {
  const auto it = links_.find({source, target});
  return it != links_.end() && swaps_ < it->second.avoided_until;
}

}  // namespace mdgan
