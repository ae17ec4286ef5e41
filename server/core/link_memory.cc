#include "server/core/link_memory.h"

#include <algorithm>

namespace mdgan {
namespace {

constexpr int kTimesTheCost = 20;

}  // namespace

LinkMemory::Avoidance LinkMemory::failed(PeerId source, PeerId target,
                                         Duration cost, TimePoint now) {
  Link& link = links_[{source, target}];
  link.failures = std::min(link.failures + 1, 4U);
  const Avoidance avoidance{std::uint64_t{1} << (2 * link.failures),
                            kTimesTheCost * cost};
  link.avoided_until = swaps_ + avoidance.swaps + 1;
  link.not_before = now + avoidance.time;
  return avoidance;
}

void LinkMemory::forget(PeerId peer) {
  const auto is_its = [peer](const std::pair<PeerId, PeerId>& link) {
    return link.first == peer || link.second == peer;
  };
  std::erase_if(links_, [&](const auto& entry) { return is_its(entry.first); });
  std::erase_if(relayed_, is_its);
}

bool LinkMemory::avoided(PeerId source, PeerId target, TimePoint now) const {
  const auto it = links_.find({source, target});
  return it != links_.end() &&
         (swaps_ < it->second.avoided_until || now < it->second.not_before);
}

}  // namespace mdgan
