// Whether a run's loss has a penalty.
#pragma once

#include "protocol/training_spec.h"

namespace mdgan {

// A penalty needs the gradient by the images of one half, and differentiates it
// again.
inline bool has_penalty(const TrainingSpec& spec) {
  return spec.r1_gamma > 0 || spec.r2_gamma > 0 ||
         spec.loss == Loss::kWassersteinGp;
}

}  // namespace mdgan
