#include "peer/train/make_peer_trainer.h"

#include <utility>

#include "common/privacy/private_run.h"
#include "common/tensor/device.h"
#include "common/tensor/device_stream.h"
#include "peer/train/algorithms.h"
#include "peer/train/streamed_peer_trainer.h"
#include "protocol/algorithm.h"

namespace mdgan {

Result<std::unique_ptr<PeerTrainer>> make_peer_trainer(
    const TrainingSpec& spec, std::shared_ptr<const Dataset> data,
    std::vector<std::uint32_t> shard, PeerId peer, const std::string& device,
    const LedgerBook* privacy) {
  if (privacy != nullptr)
    if (auto fits = check_private(spec, privacy->spec(), shard.size()); !fits)
      return fits.error();
  const auto where = parse_device(device);
  if (!where) return where.error();
  const DeviceStream stream(*where);
  const auto in_stream = stream.use();
  for (const auto& [algorithm, make] : kPeerTrainerMakers) {
    if (algorithm != spec.algorithm) continue;
    auto made =
        make({spec, std::move(data), std::move(shard), peer, device, privacy});
    if (!made || where->is_cpu()) return made;
    return std::unique_ptr<PeerTrainer>(
        std::make_unique<StreamedPeerTrainer>(stream, std::move(*made)));
  }
  return Error{"no peer can train the algorithm '" +
                   std::string(name_of(kAlgorithmNames, spec.algorithm)) + "'",
               ExitCode::kConfiguration};
}

PeerArithmetic torch_peer(const std::string& device, int threads,
                          std::shared_ptr<const LedgerBook> privacy) {
  return {.make_trainer =
              [device, privacy = std::move(privacy)](
                  const TrainingSpec& spec, std::shared_ptr<const Dataset> data,
                  std::vector<std::uint32_t> shard, PeerId peer) {
                return make_peer_trainer(spec, std::move(data),
                                         std::move(shard), peer, device,
                                         privacy.get());
              },
          .start_thread = [threads] { set_compute_threads(threads); }};
}

}  // namespace mdgan
