// What the programs do first in main(), so that a benchmark computes with the
// same kernels and the same allocator settings.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <type_traits>
#include <utility>

#include "common/base/heap.h"
#include "common/base/result.h"
#include "common/tensor/blas_core.h"

namespace mdgan::bench {

inline void start_like_the_programs(char** argv) {
  keep_freed_memory();
  choose_blas_core(argv);
}

// The value, or the end of the program with the error's message and code.
template <typename T>
T or_exit(Result<T> result) {
  if (!result) {
    std::fprintf(stderr, "%s\n", result.error().message.c_str());
    std::exit(static_cast<int>(result.error().code));
  }
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

}  // namespace mdgan::bench
