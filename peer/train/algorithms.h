// How each algorithm's trainer of a peer is made: one function, in a file of
// the algorithm's own. make_peer_trainer.cc has the row that chooses it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/data/dataset.h"
#include "peer/train/peer_trainer.h"
#include "protocol/training_spec.h"

namespace mdgan {

using MadePeerTrainer = Result<std::unique_ptr<PeerTrainer>>;

// What a trainer is made from; see make_peer_trainer().
struct PeerTrainerSetting {
  const TrainingSpec& spec;
  std::shared_ptr<const Dataset> data;
  std::vector<std::uint32_t> shard;
  PeerId peer;
  const std::string& device;
};

MadePeerTrainer make_md_gan_peer(PeerTrainerSetting setting);
MadePeerTrainer make_fl_gan_peer(PeerTrainerSetting setting);
MadePeerTrainer make_data_parallel_peer(PeerTrainerSetting setting);

}  // namespace mdgan
