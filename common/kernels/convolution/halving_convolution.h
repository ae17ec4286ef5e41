// The convolution that halves an image, by Winograd's minimal filtering: nine
// sixteenths of the products, which oneDNN does as products of matrices
// (winograd.h). All numbers in nhwc_layout(). Only in builds
// with the oneDNN backend.
#pragma once

#include <memory>

#include "common/kernels/convolution/convolution_passes.h"

namespace mdgan {

// Whether a convolution is one, and large enough to gain by it.
bool is_halving(const ConvolutionSize& size);

// REQUIRES: is_halving(size).
std::unique_ptr<const ConvolutionPasses> make_halving_convolution(
    const ConvolutionSize& size, float slope);

}  // namespace mdgan
