// The rules that choose whole rows, by their distances from each other.

#include <algorithm>
#include <numeric>

#include "common/base/result.h"
#include "common/merge/norms.h"
#include "common/merge/row_values.h"
#include "common/merge/rules.h"

namespace mdgan {
namespace {

// The sum, for each row, of the squared distances to its `near` nearest others.
std::vector<double> scores(std::span<const std::span<const float>> rows,
                           std::size_t near) {
  const std::size_t n = rows.size();
  std::vector<double> distances(n * n);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < i; ++j)
      distances[i * n + j] = distances[j * n + i] =
          squared_distance(rows[i], rows[j]);
  std::vector<double> result;
  std::vector<double> others;
  for (std::size_t i = 0; i < n; ++i) {
    others.clear();
    for (std::size_t j = 0; j < n; ++j)
      if (j != i) others.push_back(distances[i * n + j]);
    std::ranges::sort(others);
    result.push_back(std::accumulate(
        others.begin(), others.begin() + static_cast<std::ptrdiff_t>(near),
        0.0));
  }
  return result;
}

// The value is the mean of the `count` rows that have the lowest scores.
void add_best(const MergeGroup& group, std::size_t near, std::size_t count) {
  const std::size_t n = group.rows.size();
  MDGAN_CHECK(near < n && count >= 1 && count <= n);
  const RowValues values(group);
  const std::vector<double> score = scores(values.rows(), near);
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, [&](std::size_t a, std::size_t b) {
    return std::pair(score[a], group.rows[a]->peer) <
           std::pair(score[b], group.rows[b]->peer);
  });
  for (std::size_t i = count; i < n; ++i) {
    group.verdicts[order[i]].verdict = Verdict::kRefused;
    group.verdicts[order[i]].reason =
        "farther from the others than those chosen";
  }
  order.resize(count);
  std::ranges::sort(order);
  std::vector<std::span<const float>> best;
  best.reserve(count);
  for (const std::size_t i : order) best.push_back(values.rows()[i]);
  add_trimmed_mean(group, /*trim=*/0, best);
}

std::size_t nearest(const MergeGroup& group) {
  return group.rows.size() - group.parameters.hostile - 2;
}

}  // namespace

void aggregate_krum(const MergeGroup& group) {
  add_best(group, nearest(group), 1);
}

void aggregate_multi_krum(const MergeGroup& group) {
  add_best(group, nearest(group), nearest(group));
}

}  // namespace mdgan
