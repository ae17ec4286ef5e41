// Federated averaging of a GAN (McMahan et al. 2017; FL-GAN of Hardy et al.
// 2019, section V): a peer trains generator and discriminator by itself, each
// round as one of MD-GAN with a single peer and k = 1, and answers its replica.

#include <limits>
#include <utility>

#include "peer/train/replica_peer_trainer.h"

namespace mdgan {
namespace {

class FlGan final : public ReplicaPeerTrainer {
  Losses train(Round last, std::uint32_t steps,
               std::span<float> answer) override {
    Losses sum;
    for (std::uint64_t i = last.value - steps + 1; i <= last.value; ++i) {
      const Round round{i};
      const GeneratedBatch batch = g->generate(round, label_counts).front();
      d->learn(round, batch.images, batch.labels);
      const PeerFeedback back = d->feedback(batch.images, batch.labels);
      sum.discriminator += back.discriminator_loss;
      sum.generator += back.generator_loss;
      const Contribution contribution{peer, 0, back.feedback};
      if (!g->step(round, {&contribution, 1}))  // it diverged
        return {std::numeric_limits<double>::quiet_NaN(), sum.generator};
    }
    copy_replica(answer);
    return {sum.discriminator / steps, sum.generator / steps};
  }
};

}  // namespace

MadePeerTrainer make_fl_gan_peer(PeerTrainerSetting setting) {
  return prepare_replica(std::make_unique<FlGan>(), std::move(setting));
}

}  // namespace mdgan
