#include "common/privacy/rdp_accountant.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "common/base/result.h"

namespace mdgan {
namespace {

// Small budgets have their best order among the high ones, which then need not
// be hit exactly.
constexpr std::uint32_t kDense = 128;
constexpr std::uint32_t kHighest = 1024;

std::vector<std::uint32_t> make_orders() {
  std::vector<std::uint32_t> orders;
  for (std::uint32_t order = 2; order <= kHighest;
       order += order < kDense ? 1 : order / 8)
    orders.push_back(order);
  return orders;
}

// log n! for n = 0, 1, ..., kHighest.
const std::vector<double>& log_factorials() {
  static const std::vector<double> table = [] {
    std::vector<double> logs(kHighest + 1, 0.0);
    for (std::uint32_t n = 2; n <= kHighest; ++n)
      logs[n] = logs[n - 1] + std::log(n);
    return logs;
  }();
  return table;
}

double log_sum(std::span<const double> logs) {
  const double highest = *std::ranges::max_element(logs);
  double sum = 0;
  for (const double x : logs) sum += std::exp(x - highest);
  return highest + std::log(sum);
}

double rdp_at(std::uint32_t order, double rate, double noise) {
  const double alpha = order;
  if (rate == 1) return alpha / (2 * noise * noise);
  const std::vector<double>& factorial = log_factorials();
  std::vector<double> terms;
  for (std::uint32_t k = 0; k <= order; ++k) {
    const double x = k;
    terms.push_back(factorial[order] - factorial[k] - factorial[order - k] +
                    (alpha - x) * std::log1p(-rate) + x * std::log(rate) +
                    (x * x - x) / (2 * noise * noise));
  }
  // Rounding may leave the logarithm of 1 a little below 0.
  return std::max(0.0, log_sum(terms)) / (alpha - 1);
}

}  // namespace

std::span<const std::uint32_t> rdp_orders() {
  static const std::vector<std::uint32_t> orders = make_orders();
  return orders;
}

RdpCurve rdp_of_step(double rate, double noise) {
  MDGAN_CHECK(rate > 0 && rate <= 1 && noise > 0);
  RdpCurve curve;
  for (const std::uint32_t order : rdp_orders())
    curve.push_back(rdp_at(order, rate, noise));
  return curve;
}

double epsilon_of(std::span<const double> curve, double delta) {
  const auto orders = rdp_orders();
  MDGAN_CHECK(curve.size() == orders.size() && delta > 0 && delta < 1);
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < curve.size(); ++i) {
    const double alpha = orders[i];
    least =
        std::min(least, curve[i] + std::log1p(-1 / alpha) -
                            (std::log(delta) + std::log(alpha)) / (alpha - 1));
  }
  return std::max(0.0, least);
}

}  // namespace mdgan
