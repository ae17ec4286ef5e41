// How each algorithm's trainer of rounds is made: one function, in a file of
// the algorithm's own. make_round_trainer.cc has the row that chooses it.
#pragma once

#include <memory>

#include "common/base/result.h"
#include "common/train/generator/generator_trainer.h"
#include "protocol/tensor_codecs.h"
#include "protocol/training_spec.h"
#include "server/train/round_trainer.h"

namespace mdgan {

using MadeRoundTrainer = Result<std::unique_ptr<RoundTrainer>>;

MadeRoundTrainer make_md_gan_server(std::unique_ptr<GeneratorTrainer> g,
                                    const TrainingSpec& spec,
                                    const TensorCodecs& codecs);
MadeRoundTrainer make_fl_gan_server(std::unique_ptr<GeneratorTrainer> g,
                                    const TrainingSpec& spec,
                                    const TensorCodecs& codecs);
MadeRoundTrainer make_data_parallel_server(std::unique_ptr<GeneratorTrainer> g,
                                           const TrainingSpec& spec,
                                           const TensorCodecs& codecs);

}  // namespace mdgan
