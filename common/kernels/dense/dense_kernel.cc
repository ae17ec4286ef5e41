#define MDGAN_LANES 4
#define MDGAN_KERNEL_NAME "baseline"
#include "common/kernels/dense/dense_kernel.h"

#include "common/kernels/dense/dense_kernel_impl.h"

namespace mdgan {

#if defined(__x86_64__)
extern const DenseKernels* const kDenseKernelsAvx2;
extern const DenseKernels* const kDenseKernelsAvx512;

const DenseKernels* dense_kernels_avx512() {
  const bool has = __builtin_cpu_supports("avx512f") != 0 &&
                   __builtin_cpu_supports("avx512vl") != 0 &&
                   __builtin_cpu_supports("avx512dq") != 0;
  return has ? kDenseKernelsAvx512 : nullptr;
}

const DenseKernels* dense_kernels_avx2() {
  const bool has =
      __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
  return has ? kDenseKernelsAvx2 : nullptr;
}
#else
const DenseKernels* dense_kernels_avx512() { return nullptr; }
const DenseKernels* dense_kernels_avx2() { return nullptr; }
#endif

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
