// Data parallelism's parameter server: Adam steps of D and G against the mean
// of the peers' gradients.

#include <cmath>

#include "common/tensor/guard.h"
#include "common/tensor/tensor_blob.h"
#include "server/train/replica_round_trainer.h"

namespace mdgan {
namespace {

class DataParallel final : public ReplicaRoundTrainer {
 public:
  using ReplicaRoundTrainer::ReplicaRoundTrainer;

  Result<StepReport> step(Round round, std::uint32_t,
                          std::span<const PeerAnswer> answers) override {
    return guarded(
        "cannot step both networks", ExitCode::kBug,
        [&]() -> Result<StepReport> {
          const torch::Tensor mean =
              mean_of(answers, std::vector<double>(answers.size(), 1.0));
          StepReport report;
          report.feedback_norm = mean.norm().item<double>();
          if (!std::isfinite(report.feedback_norm))
            return Error{"round " + std::to_string(round.value) +
                             ": the mean gradient is not finite; go on from "
                             "an earlier checkpoint with a lower learning rate",
                         ExitCode::kDiverged};
          const auto size = static_cast<std::int64_t>(generator_size());
          if (const auto stepped = g->apply_gradient(
                  round, floats_of(mean).first(generator_size()));
              !stepped)
            return stepped.error();
          d.step(mean.narrow(0, size, d.size()));
          return report;
        });
  }
};

}  // namespace

MadeRoundTrainer make_data_parallel_server(std::unique_ptr<GeneratorTrainer> g,
                                           const TrainingSpec& spec,
                                           const TensorCodecs& /*codecs*/) {
  return make_replica_round_trainer<DataParallel>(std::move(g), spec);
}

}  // namespace mdgan
