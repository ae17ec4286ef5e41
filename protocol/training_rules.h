// Which parts of a TrainingSpec do not go together.
#pragma once

#include <string>

#include "protocol/training_spec.h"

namespace mdgan {

// What is wrong with the spec and what to do; empty if nothing is. It speaks of
// loss, augmentation and algorithm alone.
std::string conflict_of(const TrainingSpec& spec);

}  // namespace mdgan
