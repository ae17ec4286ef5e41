// Local peers of which some are hostile, for experiments.
#pragma once

#include <cstdint>

#include "peer/train/peer_trainer.h"
#include "server/simulated_attack.h"

namespace mdgan {

// `arithmetic`, of which the trainers of the peers from `first_hostile` on
// answer as the attack says. They train their discriminators honestly.
PeerArithmetic with_hostile_peers(PeerArithmetic arithmetic, Attack attack,
                                  PeerId first_hostile);

}  // namespace mdgan
