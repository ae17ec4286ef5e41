// What the libraries of dense arithmetic read from the environment.
//
// OpenBLAS reads there which kernels it computes with. It chooses by the
// processor's model, and an OpenBLAS older than the processor falls back to
// slow ones: measured with 0.3.21 on a processor of 2023, a fifth of what the
// right ones reach. It can be told through the environment variable
// OPENBLAS_CORETYPE, but only before it is loaded. No LibTorch.
#pragma once

#include <string>
#include <string_view>

namespace mdgan {

// The features of a processor that decide between OpenBLAS' kernels.
struct ProcessorFeatures {
  bool amd = false;
  bool avx2 = false;         // and FMA
  bool avx512 = false;       // F, CD, BW, DQ and VL
  bool avx512_bf16 = false;  // besides the above
};
ProcessorFeatures processor_features();

// The core to tell an OpenBLAS that chose `core` for this processor. Empty
// where it chose well, or a core that we do not know: one newer than this
// program, or of another architecture.
std::string better_blas_core(const ProcessorFeatures& processor,
                             std::string_view core);

// Call first in main(). Where the loaded BLAS is an OpenBLAS with the wrong
// kernels, and the user has not set OPENBLAS_CORETYPE, sets that and starts the
// program anew within the process: same arguments, process id and open files.
// Returns when there is nothing to change, or nothing can be.
void choose_blas_core(char** argv);

// Call in main(), before there are threads. Sets CUBLAS_WORKSPACE_CONFIG,
// unless the user has: with the memory that cuBLAS takes by itself, its sums
// differ from run to run. It is read when the first GPU is used.
void fix_cublas_workspace();

// Whether the kernels in use are those that choose_blas_core() chose.
bool is_blas_core_ours();

}  // namespace mdgan
