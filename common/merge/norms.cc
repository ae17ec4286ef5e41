#include "common/merge/norms.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "common/base/result.h"
#include "common/tensor/floats.h"
#include "common/tensor/quantise.h"

namespace mdgan {
namespace {

// So many sums are made side by side, which the compiler makes vectors of.
constexpr std::size_t kLanes = 8;

template <typename Term>
double summed(std::size_t n, Term term) {
  std::array<double, kLanes> lanes{};
  const std::size_t whole = n - n % kLanes;
  for (std::size_t i = 0; i < whole; i += kLanes)
    for (std::size_t lane = 0; lane < kLanes; ++lane)
      lanes[lane] += term(i + lane);
  for (std::size_t i = whole; i < n; ++i) lanes[i - whole] += term(i);
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  return sum;
}

}  // namespace

double euclidean_norm(std::span<const float> values) {
  return std::sqrt(summed(values.size(), [in = values.data()](std::size_t i) {
    const auto value = static_cast<double>(in[i]);
    return value * value;
  }));
}

double euclidean_norm(const Blob& values, const Blob& scales) {
  if (values.meta.dtype == protocol::DType::kFloat32)
    return euclidean_norm(floats_of(values));
  std::vector<float> plain(values.bytes.size() /
                           protocol::bytes_of(values.meta.dtype));
  add_to(plain, values, scales);
  return euclidean_norm(std::span<const float>(plain));
}

double squared_distance(std::span<const float> a, std::span<const float> b) {
  MDGAN_CHECK(a.size() == b.size());
  return summed(a.size(), [x = a.data(), y = b.data()](std::size_t i) {
    const double apart = static_cast<double>(x[i]) - static_cast<double>(y[i]);
    return apart * apart;
  });
}

double median_of(std::vector<double> values) {
  MDGAN_CHECK(!values.empty());
  std::ranges::sort(values);
  const std::size_t upper = values.size() / 2;
  if (values.size() % 2 == 1) return values[upper];
  return (values[upper - 1] + values[upper]) / 2;
}

}  // namespace mdgan
