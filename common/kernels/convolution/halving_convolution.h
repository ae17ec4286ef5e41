// The convolution that halves an image, by Winograd's minimal filtering: nine
// sixteenths of the multiplications, which oneDNN does as products of matrices
// (winograd.h). All tensors are in NHWC. Only builds with the oneDNN backend
// have it.
#pragma once

#include <memory>

#include "common/kernels/convolution/convolution_passes.h"

namespace mdgan {

// Whether a convolution of this size halves an image, and is large enough to
// gain by this algorithm.
bool is_halving(const ConvolutionSize& size);

// REQUIRES: is_halving(size).
std::unique_ptr<const ConvolutionPasses> make_halving_convolution(
    const ConvolutionSize& size, float slope);

}  // namespace mdgan
