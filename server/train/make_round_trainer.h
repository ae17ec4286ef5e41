// Makes the server's trainer. LibTorch stays behind the implementation.
#pragma once

#include <memory>
#include <string>

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

// The arithmetic of mdgan-server: make_round_trainer() on `device`, with
// `threads` LibTorch threads each. Its measure() is empty.
ServerArithmetic torch_server(const TensorCodecs& codecs,
                              const std::string& device, int threads);

}  // namespace mdgan
