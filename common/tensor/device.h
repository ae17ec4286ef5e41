// Where the arithmetic runs and on how many threads. No LibTorch types, except
// for parse_device.
#pragma once

#include <c10/core/Device.h>

#include <string>
#include <vector>

#include "common/base/result.h"

namespace mdgan {

// "cpu", "cuda" or "cuda:i". Fails with kConfiguration when the name is none of
// these, or when this machine or this LibTorch has no such device. The first
// GPU that is asked for also makes LibTorch repeat its bits: deterministic
// algorithms, and products in precision() (precision.h).
Result<c10::Device> parse_device(const std::string& name);

// Whether the GPU computes convolutions in bfloat16. REQUIRES: it is one.
bool has_bfloat16(c10::Device gpu);

// Sets the number of threads that LibTorch uses for what the calling thread
// asks of it (every thread that computes calls this for itself) and that
// OpenBLAS, where it is the BLAS, uses in the whole process. REQUIRES: threads
// > 0.
void set_compute_threads(int threads);

// Lines for --version and bug reports: LibTorch, CUDA, oneDNN, BLAS.
std::vector<std::string> backend_versions();

}  // namespace mdgan
