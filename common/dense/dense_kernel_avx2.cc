// Compiled for this instruction set; see CMakeLists.txt.
#if defined(__x86_64__)
#define MDGAN_DENSE_LANES 8
#define MDGAN_DENSE_NAME "avx2"
#include "common/dense/dense_kernel_impl.h"

namespace mdgan {

const DenseKernels* dense_kernels_avx2() {
  static const bool has =
      __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
  return has ? &kKernels : nullptr;
}

}  // namespace mdgan

#else
#include "common/dense/dense_kernel.h"

namespace mdgan {
const DenseKernels* dense_kernels_avx2() { return nullptr; }
}  // namespace mdgan
#endif
