// Makes the server's trainer. LibTorch stays behind the implementation.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/train/generator/generator_trainer.h"
#include "protocol/tensor_codecs.h"
#include "protocol/training_spec.h"
#include "server/train/round_trainer.h"

namespace mdgan {

// Fails with kConfiguration: unknown model, no such device.
Result<std::unique_ptr<RoundTrainer>> make_round_trainer(
    const GeneratorSpec& generator, const TrainingSpec& spec,
    const TensorCodecs& codecs, const std::string& device);

// The tensors that an answer must have in a run of this spec; `parameters` is
// the summary's.
std::vector<protocol::TensorMeta> answer_metas(const TrainingSpec& spec,
                                               FeedbackCodec codec,
                                               std::uint64_t parameters);

}  // namespace mdgan
