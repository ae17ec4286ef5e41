// Where the arithmetic runs and on how many threads. No LibTorch types, except
// for parse_device.
#pragma once

#include <c10/core/Device.h>

#include <string>
#include <vector>

#include "common/base/result.h"

namespace mdgan {

// "cpu", "cuda" or "cuda:i". Fails with kConfiguration when the name is none of
// these, or when this machine or this LibTorch has no such device.
Result<c10::Device> parse_device(const std::string& name);

// The number of threads LibTorch uses for what the calling thread asks of it
// (every thread that computes calls this for itself) and, for the whole
// process, OpenBLAS where it is the BLAS. REQUIRES: threads > 0.
void set_compute_threads(int threads);

// Lines for --version and bug reports: LibTorch, CUDA, oneDNN, BLAS.
std::vector<std::string> backend_versions();

}  // namespace mdgan
