// How each algorithm's trainer of rounds is made: one function, in a file of
// the algorithm's own, and a row here.
#pragma once

#include <memory>
#include <utility>

#include "common/base/result.h"
#include "common/train/generator/generator_trainer.h"
#include "protocol/tensor_codecs.h"
#include "protocol/training_spec.h"
#include "server/train/round_trainer.h"

namespace mdgan {

using MadeRoundTrainer = Result<std::unique_ptr<RoundTrainer>>;

using RoundTrainerMaker = MadeRoundTrainer(std::unique_ptr<GeneratorTrainer> g,
                                           const TrainingSpec& spec,
                                           const TensorCodecs& codecs);
RoundTrainerMaker make_md_gan_server;
RoundTrainerMaker make_fl_gan_server;
RoundTrainerMaker make_data_parallel_server;

inline constexpr std::pair<Algorithm, RoundTrainerMaker*> kRoundTrainerMakers[]{
    {Algorithm::kMdGan, make_md_gan_server},
    {Algorithm::kFlGan, make_fl_gan_server},
    {Algorithm::kDataParallel, make_data_parallel_server},
};

}  // namespace mdgan
