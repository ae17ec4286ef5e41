#include "server/core/link_memory.h"

#include <algorithm>

namespace mdgan {
namespace {

constexpr int kTimesTheCost = 20;
// One peer alone may be what hangs, and not what is before the target.
constexpr std::size_t kTriedInVain = 2;

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

void LinkMemory::use_relay(PeerId source, PeerId target, bool in_vain) {
  relayed_.insert({source, target});
  if (in_vain) tried_in_vain_[target].insert(source);
}

bool LinkMemory::is_unreached(PeerId target) const {
  const auto tried = tried_in_vain_.find(target);
  return tried != tried_in_vain_.end() &&
         tried->second.size() >= kTriedInVain && !reached_.contains(target);
}

void LinkMemory::worked(PeerId source, PeerId target, bool directly) {
  links_.erase({source, target});
  if (directly) reached_.insert(target);
}

void LinkMemory::forget(PeerId peer) {
  const auto is_its = [peer](const std::pair<PeerId, PeerId>& link) {
    return link.first == peer || link.second == peer;
  };
  std::erase_if(links_, [&](const auto& entry) { return is_its(entry.first); });
  std::erase_if(relayed_, is_its);
  for (auto& [target, sources] : tried_in_vain_) sources.erase(peer);
  tried_in_vain_.erase(peer);
  reached_.erase(peer);
}

bool LinkMemory::avoided(PeerId source, PeerId target, TimePoint now) const {
  const auto it = links_.find({source, target});
  return it != links_.end() &&
         (swaps_ < it->second.avoided_until || now < it->second.not_before);
}

}  // namespace mdgan
