// First weights from our own generator instead of LibTorch's, so that a seed
// means the same weights on every device and every version of LibTorch.
#pragma once

#include "common/models/model.h"

namespace mdgan {

class Random;

// Fills every parameter in the order of named_parameters(), by the model's
// initial_law(), and sets buffers to their defaults. Drawn on the CPU, copied
// to where the model is. Batch normalisation starts as the identity (its
// weights as N(1, 0.02) under kDcgan), torch::nn::Embedding as N(0, 1). What
// the model itself holds, outside of layers (dirac.h), stays as it was made.
void initialise(Model& model, Random& random);

}  // namespace mdgan
