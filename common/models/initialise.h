// First weights are drawn by our own random number generator instead of
// LibTorch's, so that a seed gives the same weights on every device and every
// version of LibTorch.
#pragma once

#include "common/models/model.h"

namespace mdgan {

class Random;

// Fills every parameter in the order of named_parameters(), by the model's
// initial_law(), and sets buffers to their defaults. Values are drawn on the
// CPU and copied to the model's device. Batch normalisation starts as the
// identity (its weights as N(1, 0.02) under kDcgan), torch::nn::Embedding as
// N(0, 1), a ZeroConvolution (zero_convolution.h) as 0. Parameters of the model
// itself, outside of layers (dirac.h), stay as they are, and those of layers
// that a file alone knows (script_model.h).
void initialise(Model& model, Random& random);

}  // namespace mdgan
