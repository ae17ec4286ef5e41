// The summary of a model that server and peer must agree on before weights
// travel between them. LibTorch stays behind the implementation.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "common/base/result.h"
#include "protocol/training_spec.h"

namespace mdgan {

// Summarises what travels: in MD-GAN a discriminator, in the other algorithms a
// replica, which is a generator's parameters, its buffers of floating point and
// a discriminator's parameters. See PROTOCOL.md, "Schema".
struct ModelSummary {
  std::array<std::byte, 32> schema{};  // SHA-256
  std::uint64_t parameters = 0;        // values that travel
};

// Fails with kConfiguration if the batches that `replay` has a peer keep are
// more than one tensor may hold, kMaxTensorBytes: they are saved as one.
Result<void> check_history(const TrainingSpec& spec);

// Fails with kConfiguration like check_history(), make_generator() and
// make_discriminator().
Result<ModelSummary> summarise_model(const TrainingSpec& spec);

}  // namespace mdgan
