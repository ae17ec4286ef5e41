// How a product of dense_kernel.h is shared out among threads. Only .cc files
// include this, as it includes a part of LibTorch.
#pragma once

#include <ATen/Parallel.h>

#include <cstddef>
#include <cstdint>

#include "common/base/work_sharer.h"
#include "common/kernels/dense/dense_kernel.h"

// Without OpenMP, at::parallel_for is silently a loop on one thread.
#if !defined(_OPENMP)
#error "compile this with OpenMP (OpenMP::OpenMP_CXX)"
#endif

namespace mdgan {

// A product of fewer grains ends before a work sharer has begun.
inline constexpr std::size_t kWorthSharing = 4;

// Calls use(range) for parts of [0, size): on the calling thread and its work
// sharer if it has one, else on as many of LibTorch's threads as the caller has
// set (set_compute_threads).
template <typename Use>
void in_parts(std::size_t size, const Use& use) {
  const std::size_t grains = (size + kDenseGrain - 1) / kDenseGrain;
  const auto part = [&](std::size_t begin, std::size_t end) {
    use(DenseRange{begin * kDenseGrain,
                   end == grains ? size : end * kDenseGrain});
  };
  if (has_work_sharer() && grains >= kWorthSharing) {
    const std::size_t half = grains / 2;
    side_by_side([&] { part(half, grains); }, [&] { part(0, half); });
    return;
  }
  at::parallel_for(0, static_cast<std::int64_t>(grains), 1,
                   [&](std::int64_t begin, std::int64_t end) {
                     part(static_cast<std::size_t>(begin),
                          static_cast<std::size_t>(end));
                   });
}

}  // namespace mdgan
