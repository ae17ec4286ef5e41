// Any convolution, by oneDNN's own passes. Only builds with the oneDNN backend
// have it.
#pragma once

#include <memory>

#include "common/kernels/convolution/convolution_passes.h"

namespace mdgan {

std::unique_ptr<const ConvolutionPasses> make_onednn_convolution(
    const ConvolutionSize& size, float slope);

}  // namespace mdgan
