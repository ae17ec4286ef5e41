// Where a welcomed peer's discriminator comes from, given what it offers.
#pragma once

#include <functional>

#include "common/base/ids.h"
#include "protocol/messages.h"

namespace mdgan {

struct StartChoice {
  protocol::Start start = protocol::Start::kReceive;
  Round restore;                  // with kRestore
  DiscriminatorId discriminator;  // with kKeep and kRestore
  bool exact =
      false;  // as of the round completed last, no later state is in it
};

// What the run knows when a peer says hello.
struct RunAtHello {
  RunId run{};
  Round completed;           // above 0
  bool begun = false;        // this server has begun a round
  DiscriminatorId assigned;  // the peer's own; 0: it has none
};

// Picks among what the hello offers of this run, in this order: before a round
// has begun, its own discriminator saved after `completed`, so that the run
// goes on as if it had not stopped; its own as it is in use; its own as saved
// last, but not later than `completed` if there is such a one; any that is
// free, in use or saved. Else it receives a copy of another peer's. `is_free`
// tells whether no other peer has that discriminator, or a later state of it:
// no two peers ever train the same.
StartChoice choose_start(
    const protocol::Hello& hello, const RunAtHello& at,
    const std::function<bool(const protocol::Held&)>& is_free);

}  // namespace mdgan
