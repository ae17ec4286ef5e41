#include "common/merge/class_factors.h"

#include <algorithm>
#include <numeric>

namespace mdgan {
namespace {

double total_of(std::span<const std::uint64_t> counts) {
  return std::accumulate(counts.begin(), counts.end(), 0.0);
}

}  // namespace

std::vector<std::vector<double>> class_factors(
    std::span<const AnsweredBatch> batches, ClassShare share) {
  const std::size_t classes = batches.empty() ? 0 : batches[0].counts.size();
  double answers = 0;
  double images = 0;
  std::vector<double> held(classes);  // of each class by those that answered
  for (const AnsweredBatch& batch : batches) {
    if (batch.answers == 0) continue;
    answers += static_cast<double>(batch.answers);
    images += batch.images;
    const double total = total_of(batch.counts);
    for (std::size_t y = 0; y < classes; ++y)
      held[y] += batch.images * static_cast<double>(batch.counts[y]) / total;
  }
  const auto present = static_cast<double>(
      std::ranges::count_if(held, [](double h) { return h > 0; }));
  std::vector<std::vector<double>> factors;
  for (const AnsweredBatch& batch : batches) {
    std::vector<double>& of = factors.emplace_back(classes);
    if (batch.answers == 0) continue;
    const double scale =
        batch.images * answers / static_cast<double>(batch.answers);
    for (std::size_t y = 0; y < classes; ++y) {
      if (batch.counts[y] == 0) continue;
      of[y] = std::min(
          scale / (share == ClassShare::kUniform ? present * held[y] : images),
          kMostClassFactor);
    }
  }
  return factors;
}

}  // namespace mdgan
