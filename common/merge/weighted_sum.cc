#include "common/merge/weighted_sum.h"

#include <cmath>

#include "common/base/result.h"
#include "common/tensor/floats.h"

namespace mdgan {
namespace {

// On processors without the instruction, std::fma is a function of libm, which
// is right but slow.
void fused_plain(std::size_t n, const float* in, float factor, float* sum) {
  for (std::size_t i = 0; i < n; ++i) sum[i] = std::fma(in[i], factor, sum[i]);
}

#if defined(__x86_64__) && defined(__GNUC__)
// This is written by hand, as the resolver of target_clones runs before the
// sanitizers are set up.
[[gnu::target("avx2,fma")]] void fused_avx2(std::size_t n,
                                            const float* __restrict in,
                                            float factor,
                                            float* __restrict sum) {
  for (std::size_t i = 0; i < n; ++i)
    sum[i] = __builtin_fmaf(in[i], factor, sum[i]);
}

void fused(std::size_t n, const float* in, float factor, float* sum) {
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    fused_avx2(n, in, factor, sum);
  else
    fused_plain(n, in, factor, sum);
}
#else
void fused(std::size_t n, const float* in, float factor, float* sum) {
  fused_plain(n, in, factor, sum);
}
#endif

// The loop over a row's values, decoded only where they are not float32.
template <typename Loop>
void with_values(const MergeRow& row, std::size_t size, Loop loop) {
  if (row.values.meta.dtype == protocol::DType::kFloat32) {
    const std::span<const float> values = floats_of(row.values);
    MDGAN_CHECK(values.size() == size);
    loop(values.data());
  } else {
    const std::vector<float> values = decoded(row);
    MDGAN_CHECK(values.size() == size);
    loop(values.data());
  }
}

}  // namespace

void add_scaled(std::span<float> sum, const MergeRow& row, float factor) {
  with_values(row, sum.size(), [&](const float* in) {
    fused(sum.size(), in, factor, sum.data());
  });
}

void add_scaled_samples(std::span<float> sum, const MergeRow& row,
                        std::span<const float> factors) {
  MDGAN_CHECK(!factors.empty() && sum.size() % factors.size() == 0);
  const std::size_t each = sum.size() / factors.size();
  with_values(row, sum.size(), [&](const float* in) {
    float* out = sum.data();
    for (const float factor : factors)
      for (std::size_t i = 0; i < each; ++i) *out++ += *in++ * factor;
  });
}

}  // namespace mdgan
