// Compiled for this instruction set; see CMakeLists.txt. Nothing here runs
// before dense_kernel.cc has found that the processor has it.
#if defined(__x86_64__)
#define MDGAN_LANES 8
#define MDGAN_KERNEL_NAME "avx2"
#include "common/kernels/dense/dense_kernel_impl.h"

namespace mdgan {
extern const DenseKernels* const kDenseKernelsAvx2;
const DenseKernels* const kDenseKernelsAvx2 = &kKernels;
}  // namespace mdgan
#endif
