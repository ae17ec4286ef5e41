#include "server/train/make_round_trainer.h"

#include <utility>

#include "common/models/model_summary.h"
#include "common/tensor/device.h"
#include "protocol/algorithm.h"
#include "server/train/algorithms.h"

namespace mdgan {

Result<std::unique_ptr<RoundTrainer>> make_round_trainer(
    const GeneratorSpec& generator, const TrainingSpec& spec,
    const TensorCodecs& codecs, const std::string& device) {
  auto g = GeneratorTrainer::create(generator, device);
  if (!g) return g.error();
  for (const auto& [algorithm, make] : kRoundTrainerMakers)
    if (algorithm == spec.algorithm) return make(std::move(*g), spec, codecs);
  return Error{"no server can train the algorithm '" +
                   std::string(name_of(kAlgorithmNames, spec.algorithm)) + "'",
               ExitCode::kConfiguration};
}

ServerArithmetic torch_server(const TensorCodecs& codecs,
                              const std::string& device, int threads) {
  ServerArithmetic arithmetic;
  arithmetic.make_trainer =
      [codecs, device](const GeneratorSpec& generator,
                       const TrainingSpec& spec) -> Result<MadeTrainer> {
    auto trainer = make_round_trainer(generator, spec, codecs, device);
    if (!trainer) return trainer.error();
    const auto summary = summarise_model(spec);
    if (!summary) return summary.error();
    return MadeTrainer{std::move(*trainer), *summary};
  };
  arithmetic.start_thread = [threads] { set_compute_threads(threads); };
  return arithmetic;
}

}  // namespace mdgan
