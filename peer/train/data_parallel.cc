// Data parallelism with a parameter server (Li et al. 2014): a peer answers the
// gradients of both losses by both networks' weights, at the weights the server
// sent. D and G step at the same time, on the same generated batch.

#include <limits>
#include <utility>

#include "peer/train/replica_peer_trainer.h"

namespace mdgan {
namespace {

class DataParallel final : public ReplicaPeerTrainer {
  Losses train(Round round, std::uint32_t, std::span<float> answer) override {
    const GeneratedBatch batch = g->generate(round, label_counts).front();
    Losses losses;
    losses.discriminator = d->gradient(round, batch.images, batch.labels,
                                       discriminator_part(answer));
    const PeerFeedback back = d->feedback(batch.images, batch.labels);
    losses.generator = back.generator_loss;
    const Contribution contribution{peer, 0, back.feedback};
    if (!g->gradient(round, {&contribution, 1}, generator_part(answer)))
      losses.generator = std::numeric_limits<double>::quiet_NaN();
    return losses;
  }
};

}  // namespace

MadePeerTrainer make_data_parallel_peer(PeerTrainerSetting setting) {
  return prepare_replica(std::make_unique<DataParallel>(), std::move(setting));
}

}  // namespace mdgan
