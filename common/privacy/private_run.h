// Which runs a discriminator with differential privacy can take part in.
#pragma once

#include <cstddef>

#include "common/base/result.h"
#include "common/privacy/privacy_spec.h"
#include "protocol/training_spec.h"

namespace mdgan {

// Fails with kConfiguration where this run's training would use real images in
// another way than one by one in D's loss, or the budget means nothing for a
// shard of so many images. What is not known to be harmless is refused.
Result<void> check_private(const TrainingSpec& spec, const PrivacySpec& privacy,
                           std::size_t images);

}  // namespace mdgan
