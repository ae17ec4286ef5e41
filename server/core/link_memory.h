// Which pairs of peers could not exchange a discriminator, so that the next
// swaps go around them.
#pragma once

#include <cstdint>
#include <map>
#include <utility>

#include "common/base/ids.h"

namespace mdgan {

class LinkMemory {
 public:
  // A further swap begins: what is avoided is counted in swaps.
  void begin_swap() { ++swaps_; }

  // A discriminator did not get from `source` to `target`. Returns for how many
  // swaps the link is avoided: 4 the first time, then 16, 64 and 256, since the
  // fault may be one that passes.
  std::uint64_t failed(PeerId source, PeerId target);

  void worked(PeerId source, PeerId target) { links_.erase({source, target}); }

  // What is known of the links to and from this peer is out of date: it listens
  // elsewhere, or is gone.
  void forget(PeerId peer);

  bool avoided(PeerId source, PeerId target) const;

 private:
  struct Link {
    unsigned failures = 0;
    std::uint64_t avoided_until = 0;  // this swap is tried again
  };
  std::uint64_t swaps_ = 0;
  std::map<std::pair<PeerId, PeerId>, Link> links_;
};

}  // namespace mdgan
