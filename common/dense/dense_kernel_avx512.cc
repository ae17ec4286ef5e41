// Compiled for this instruction set; see CMakeLists.txt.
#if defined(__x86_64__)
#define MDGAN_DENSE_LANES 16
#define MDGAN_DENSE_NAME "avx512"
#include "common/dense/dense_kernel_impl.h"

namespace mdgan {

const DenseKernels* dense_kernels_avx512() {
  static const bool has = __builtin_cpu_supports("avx512f") != 0 &&
                          __builtin_cpu_supports("avx512vl") != 0 &&
                          __builtin_cpu_supports("avx512dq") != 0;
  return has ? &kKernels : nullptr;
}

}  // namespace mdgan

#else
#include "common/dense/dense_kernel.h"

namespace mdgan {
const DenseKernels* dense_kernels_avx512() { return nullptr; }
}  // namespace mdgan
#endif
