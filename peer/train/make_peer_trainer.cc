#include "peer/train/make_peer_trainer.h"

#include <utility>

#include "common/tensor/device.h"
#include "peer/train/algorithms.h"
#include "protocol/algorithm.h"

namespace mdgan {

Result<std::unique_ptr<PeerTrainer>> make_peer_trainer(
    const TrainingSpec& spec, std::shared_ptr<const Dataset> data,
    std::vector<std::uint32_t> shard, PeerId peer, const std::string& device) {
  for (const auto& [algorithm, make] : kPeerTrainerMakers)
    if (algorithm == spec.algorithm)
      return make({spec, std::move(data), std::move(shard), peer, device});
  return Error{"no peer can train the algorithm '" +
                   std::string(name_of(kAlgorithmNames, spec.algorithm)) + "'",
               ExitCode::kConfiguration};
}

PeerArithmetic torch_peer(const std::string& device, int threads) {
  return {.make_trainer =
              [device](const TrainingSpec& spec,
                       std::shared_ptr<const Dataset> data,
                       std::vector<std::uint32_t> shard, PeerId peer) {
                return make_peer_trainer(spec, std::move(data),
                                         std::move(shard), peer, device);
              },
          .start_thread = [threads] { set_compute_threads(threads); }};
}

}  // namespace mdgan
