// FL-GAN's server: the new replica is the mean of the peers', weighted by the
// sizes of their shards (McMahan et al. 2017).

#include <algorithm>

#include "common/tensor/guard.h"
#include "common/tensor/tensor_blob.h"
#include "server/train/replica_round_trainer.h"

namespace mdgan {
namespace {

class FlGan final : public ReplicaRoundTrainer {
 public:
  using ReplicaRoundTrainer::ReplicaRoundTrainer;

  Result<StepReport> step(Round, std::uint32_t steps,
                          std::span<const PeerAnswer> answers) override {
    return guarded(
        "cannot average the replicas", ExitCode::kBug,
        [&]() -> Result<StepReport> {
          std::vector<double> weights;
          for (const PeerAnswer& answer : answers)
            weights.push_back(
                std::max(1.0, static_cast<double>(answer.shard_size)));
          const torch::Tensor mean = mean_of(answers, weights);
          const auto size = static_cast<std::int64_t>(generator_size());
          g->set_weights(floats_of(mean).first(generator_size()), steps);
          const torch::Tensor of_d = mean.narrow(0, size, d.size());
          StepReport report;
          report.feedback_norm = (of_d - d.values()).norm().item<double>();
          d.values().copy_(of_d);
          return report;
        });
  }
};

}  // namespace

MadeRoundTrainer make_fl_gan_server(std::unique_ptr<GeneratorTrainer> g,
                                    const TrainingSpec& spec,
                                    const TensorCodecs& /*codecs*/) {
  return make_replica_round_trainer<FlGan>(std::move(g), spec);
}

}  // namespace mdgan
