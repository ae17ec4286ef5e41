// The rules that look at each coordinate by itself.

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

#include "common/base/result.h"
#include "common/merge/row_values.h"
#include "common/merge/rules.h"
#include "common/tensor/floats.h"

namespace mdgan {
namespace {

// So many coordinates of all rows are sorted at a time, within the cache.
constexpr std::size_t kBlock = 128;
using Block = std::array<float, kBlock>;
using Exchange = std::pair<std::size_t, std::size_t>;

// The exchanges that sort n numbers whatever they are: merge exchange (Knuth,
// The Art of Computer Programming 3, algorithm 5.2.2M). A sort that does not
// branch is done to many coordinates at once.
std::vector<Exchange> sorting_network(std::size_t n) {
  std::vector<Exchange> network;
  if (n < 2) return network;
  const std::size_t half = std::bit_ceil(n) / 2;
  for (std::size_t p = half; p > 0; p /= 2) {
    std::size_t q = half, r = 0, d = p;
    while (true) {
      for (std::size_t i = 0; i + d < n; ++i)
        if ((i & p) == r) network.emplace_back(i, i + d);
      if (q == p) break;
      d = q - p;
      q /= 2;
      r = p;
    }
  }
  return network;
}

// Written with a comparison for each result, and not inlined, it becomes minps
// and maxps; with a branch for each pair it takes 20 times as long.
[[gnu::noinline]] void exchange(float* __restrict lower,
                                float* __restrict higher) {
  for (std::size_t i = 0; i < kBlock; ++i) {
    const float a = lower[i], b = higher[i];
    const float low = b < a ? b : a;
    const float high = a < b ? b : a;
    lower[i] = low;
    higher[i] = high;
  }
}

void add(const Block& block, std::array<double, kBlock>& sum) {
  for (std::size_t i = 0; i < kBlock; ++i)
    sum[i] += static_cast<double>(block[i]);
}

}  // namespace

RowValues::RowValues(const MergeGroup& group) {
  copies_.reserve(group.rows.size());  // the views stay valid
  for (const MergeRow* row : group.rows) {
    if (row->values.meta.dtype == protocol::DType::kFloat32)
      rows_.push_back(floats_of(row->values));
    else
      rows_.emplace_back(copies_.emplace_back(decoded(*row)));
    MDGAN_CHECK(rows_.back().size() == group.sum.size());
  }
}

void add_trimmed_mean(const MergeGroup& group, std::size_t trim,
                      std::span<const std::span<const float>> rows) {
  MDGAN_CHECK(2 * trim < rows.size());
  const std::vector<Exchange> network =
      trim == 0 ? std::vector<Exchange>{} : sorting_network(rows.size());
  const double factor =
      group.weight() / static_cast<double>(rows.size() - 2 * trim);
  std::vector<Block> blocks(rows.size());
  for (std::size_t at = 0; at < group.sum.size(); at += kBlock) {
    const std::size_t count = std::min(kBlock, group.sum.size() - at);
    for (std::size_t i = 0; i < rows.size(); ++i)
      std::copy_n(rows[i].data() + at, count, blocks[i].data());
    for (const auto& [low, high] : network)
      exchange(blocks[low].data(), blocks[high].data());
    std::array<double, kBlock> sum{};
    for (std::size_t i = trim; i < rows.size() - trim; ++i) add(blocks[i], sum);
    for (std::size_t i = 0; i < count; ++i)
      group.sum[at + i] += static_cast<float>(factor * sum[i]);
  }
}

void aggregate_median(const MergeGroup& group) {
  add_trimmed_mean(group, (group.rows.size() - 1) / 2, RowValues(group).rows());
}

void aggregate_trimmed_mean(const MergeGroup& group) {
  add_trimmed_mean(group, group.parameters.hostile, RowValues(group).rows());
}

}  // namespace mdgan
