// How each algorithm's trainer of a peer is made: one function, in a file of
// the algorithm's own, and a row here.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/data/dataset.h"
#include "peer/train/peer_trainer.h"
#include "protocol/training_spec.h"

namespace mdgan {

class LedgerBook;

using MadePeerTrainer = Result<std::unique_ptr<PeerTrainer>>;

// The arguments of make_peer_trainer().
struct PeerTrainerSetting {
  const TrainingSpec& spec;
  std::shared_ptr<const Dataset> data;
  std::vector<std::uint32_t> shard;
  PeerId peer;
  const std::string& device;
  const LedgerBook* privacy;  // null: without it
};

using PeerTrainerMaker = MadePeerTrainer(PeerTrainerSetting setting);
PeerTrainerMaker make_md_gan_peer;
PeerTrainerMaker make_fl_gan_peer;
PeerTrainerMaker make_data_parallel_peer;

inline constexpr std::pair<Algorithm, PeerTrainerMaker*> kPeerTrainerMakers[]{
    {Algorithm::kMdGan, make_md_gan_peer},
    {Algorithm::kFlGan, make_fl_gan_peer},
    {Algorithm::kDataParallel, make_data_parallel_peer},
};

}  // namespace mdgan
