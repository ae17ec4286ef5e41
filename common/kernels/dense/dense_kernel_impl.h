// The kernels of dense_kernel.h in terms of vectors of kLanes floats. This and
// the headers it includes are included by one file for each instruction set,
// which sets MDGAN_LANES and MDGAN_KERNEL_NAME and is compiled for it;
// everything is in an anonymous namespace, so that nothing compiled for one
// instruction set is linked into another's place.
#pragma once

#include "common/kernels/dense/dense_forward.h"
#include "common/kernels/dense/dense_input_gradient.h"
#include "common/kernels/dense/dense_kernel.h"
#include "common/kernels/dense/dense_weight_gradient.h"

namespace mdgan {
namespace {

constexpr DenseKernels kKernels{MDGAN_KERNEL_NAME, forward,
                                through_leaky,     input_gradient,
                                weight_gradient,   adam};

}  // namespace
}  // namespace mdgan
