#define MDGAN_DENSE_LANES 4
#define MDGAN_DENSE_NAME "baseline"
#include "common/dense/dense_kernel.h"

#include "common/dense/dense_kernel_impl.h"

namespace mdgan {

const DenseKernels* dense_kernels_baseline() { return &kKernels; }

const DenseKernels& dense_kernels() {
  static const DenseKernels& best = [&]() -> const DenseKernels& {
    if (const auto* kernels = dense_kernels_avx512()) return *kernels;
    if (const auto* kernels = dense_kernels_avx2()) return *kernels;
    return *dense_kernels_baseline();
  }();
  return best;
}

}  // namespace mdgan
