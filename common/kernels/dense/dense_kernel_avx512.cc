// Compiled for this instruction set; see CMakeLists.txt. Nothing here runs
// before dense_kernel.cc has found that the processor has it.
#if defined(__x86_64__)
#define MDGAN_LANES 16
#define MDGAN_KERNEL_NAME "avx512"
#include "common/kernels/dense/dense_kernel_impl.h"

namespace mdgan {
extern const DenseKernels* const kDenseKernelsAvx512;
const DenseKernels* const kDenseKernelsAvx512 = &kKernels;
}  // namespace mdgan
#endif
