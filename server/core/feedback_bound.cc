#include "server/core/feedback_bound.h"

#include <algorithm>

namespace mdgan {
namespace {

// The median of all lengths but the one at `left_out`.
double median_without(std::span<const double> sorted, std::size_t left_out) {
  const std::size_t n = sorted.size() - 1;
  const auto at = [&](std::size_t i) {
    return sorted[i < left_out ? i : i + 1];
  };
  return n % 2 == 1 ? at(n / 2) : (at(n / 2 - 1) + at(n / 2)) / 2;
}

}  // namespace

std::vector<std::size_t> too_long(std::span<const double> lengths) {
  std::vector<std::size_t> places;
  const std::size_t n = lengths.size();
  if (n == 0) return places;
  const double floor = n > 2 ? kShortest : kShortestOfTwo;
  const auto [least, most] = std::ranges::minmax(lengths);
  // So it is in all rounds of an honest run, which are not sorted.
  const double safe = kLargestMultiple * std::max(least, floor);
  if (n > 1 && most <= (n == 2 ? std::min(safe, kLargestAlone) : safe))
    return places;
  std::vector<double> sorted(lengths.begin(), lengths.end());
  std::ranges::sort(sorted);
  for (std::size_t i = 0; i < n; ++i) {
    double bound = kLargestAlone;
    if (n > 1) {
      const auto place = static_cast<std::size_t>(
          std::ranges::lower_bound(sorted, lengths[i]) - sorted.begin());
      const double others =
          kLargestMultiple * std::max(median_without(sorted, place), floor);
      bound = n == 2 ? std::min(bound, others) : others;
    }
    if (lengths[i] > bound) places.push_back(i);
  }
  return places;
}

}  // namespace mdgan
