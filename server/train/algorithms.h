// How each algorithm's server is made: round_trainer.cc chooses.
#pragma once

#include <memory>

#include "server/train/round_trainer.h"

namespace mdgan {

using MadeRoundTrainer = Result<std::unique_ptr<RoundTrainer>>;

MadeRoundTrainer make_md_gan_server(std::unique_ptr<GeneratorTrainer> g,
                                    const WireCodecs& codecs);
MadeRoundTrainer make_fl_gan_server(std::unique_ptr<GeneratorTrainer> g,
                                    const DiscriminatorSpec& spec);
MadeRoundTrainer make_data_parallel_server(std::unique_ptr<GeneratorTrainer> g,
                                           const DiscriminatorSpec& spec);

}  // namespace mdgan
