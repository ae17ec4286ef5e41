// Which pairs of peers could not exchange a discriminator, so that the next one
// goes by way of the server, or the next swaps around them.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <utility>

#include "common/base/ids.h"
#include "common/base/time.h"

namespace mdgan {

class LinkMemory {
 public:
  struct Avoidance {
    std::uint64_t swaps = 0;
    Duration time{};
  };

  // A further swap begins.
  void begin_swap() { ++swaps_; }

  // A discriminator did not get from `source` to `target`, which has cost the
  // run `cost`. Returns for how many swaps the link is avoided: 4 the first
  // time, then 16, 64 and 256, since the fault may be one that passes; and for
  // how long at least, so that tries cost the run a twentieth of its time.
  Avoidance failed(PeerId source, PeerId target, Duration cost, TimePoint now);

  // Discriminators get from `source` to `target` by relay, from now on.
  // `in_vain`: because none came in time, and not as the source would have it.
  void use_relay(PeerId source, PeerId target, bool in_vain);
  // So they do from any other, too, once two have tried in vain and none has
  // ever reached `target` directly: a firewall before it would cost the run a
  // swap for each of them.
  bool is_unreached(PeerId target) const;
  bool needs_relay(PeerId source, PeerId target) const {
    return is_unreached(target) || relayed_.contains({source, target});
  }

  // By whichever way, directly or by relay: it is to be tried again.
  void worked(PeerId source, PeerId target, bool directly);

  // What is known of the links to and from this peer is out of date: it listens
  // elsewhere, or is gone.
  void forget(PeerId peer);

  bool avoided(PeerId source, PeerId target, TimePoint now) const;

 private:
  struct Link {
    unsigned failures = 0;
    std::uint64_t avoided_until = 0;  // this swap is tried again, but
    TimePoint not_before{};
  };
  std::uint64_t swaps_ = 0;
  std::map<std::pair<PeerId, PeerId>, Link> links_;
  std::set<std::pair<PeerId, PeerId>> relayed_;
  std::map<PeerId, std::set<PeerId>> tried_in_vain_;  // by whom, by target
  std::set<PeerId> reached_;                          // directly, by some peer
};

}  // namespace mdgan
