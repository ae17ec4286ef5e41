#include "common/evaluate/metrics.h"

#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "common/base/random.h"
#include "common/evaluate/normals.h"
#include "common/tensor/guard.h"
#include "common/tensor/tensor_blob.h"

namespace mdgan {
namespace {

using torch::Tensor;

constexpr std::int64_t kBlock = 512;  // rows of distances at a time

// --- kernel distance --------------------------------------------------------

Tensor pick(const Tensor& features, std::uint32_t size, Random& random) {
  const auto n = static_cast<std::uint32_t>(features.size(0));
  const std::vector<std::uint32_t> order = permutation(n, random);
  Tensor rows = torch::empty({size}, torch::kInt64);
  std::copy_n(order.begin(), size, rows.data_ptr<std::int64_t>());
  return features.index_select(0, rows);
}

double kernel_sum(const Tensor& a, const Tensor& b) {
  Tensor kernel = a.mm(b.t());
  kernel.div_(static_cast<double>(a.size(1))).add_(1).pow_(3);
  return kernel.sum(torch::kFloat64).item<double>();
}

// The mean of the kernel over pairs of different rows.
double mean_within(const Tensor& a) {
  const double n = static_cast<double>(a.size(0));
  const Tensor squares = a.to(torch::kFloat64).square().sum(1);
  const double self = (squares / static_cast<double>(a.size(1)) + 1)
                          .pow(3)
                          .sum()
                          .item<double>();
  return (kernel_sum(a, a) - self) / (n * (n - 1));
}

double mean_between(const Tensor& a, const Tensor& b) {
  return kernel_sum(a, b) / static_cast<double>(a.size(0) * b.size(0));
}

MeanAndSpread spread_of(const std::vector<double>& values) {
  const double n = static_cast<double>(values.size());
  MeanAndSpread result;
  for (const double value : values) result.mean += value / n;
  for (const double value : values)
    result.std += (value - result.mean) * (value - result.mean) / n;
  result.std = std::sqrt(result.std);
  return result;
}

// --- neighbours -------------------------------------------------------------

Tensor squared_norms(const Tensor& a) { return a.square().sum(1); }

// Squared distances [rows of a, rows of b].
Tensor distances(const Tensor& a, const Tensor& b, const Tensor& b_norms) {
  Tensor result = torch::addmm(b_norms.unsqueeze(0), a, b.t(), 1, -2);
  return result.add_(squared_norms(a).unsqueeze(1)).clamp_min_(0);
}

// Each row's squared distance to its third neighbour.
Tensor radii_of(const Tensor& features) {
  const std::int64_t n = features.size(0);
  const Tensor norms = squared_norms(features);
  Tensor radii = torch::empty({n});
  for (std::int64_t at = 0; at < n; at += kBlock) {
    const std::int64_t rows = std::min(kBlock, n - at);
    Tensor block = distances(features.narrow(0, at, rows), features, norms);
    block.diagonal(at).fill_(std::numeric_limits<float>::infinity());
    const auto [values, indices] =
        block.topk(RealFeatures::kNeighbour, 1, /*largest=*/false);
    radii.narrow(0, at, rows).copy_(std::get<0>(values.max(1)));
  }
  return radii;
}

// Marks the real images that lie within a generated one's radius.
Tensor recalled_by(const Tensor& block, const Tensor& radii) {
  return block.le(radii.unsqueeze(1)).any(0);
}

}  // namespace

Blob neighbour_radii(const Blob& features) {
  return plain_exceptions([&] {
    const torch::NoGradGuard no_grad;
    const Tensor x = to_tensor(features);
    MDGAN_CHECK(x.size(0) > RealFeatures::kNeighbour);
    return to_blob(radii_of(x));
  });
}

// --- scores of probabilities ------------------------------------------------

MeanAndSpread inception_score(const Blob& probabilities, std::int64_t splits) {
  return plain_exceptions([&] {
    const Tensor p = to_tensor(probabilities).to(torch::kFloat64);
    const std::int64_t n = p.size(0);
    MDGAN_CHECK(n >= splits);
    std::vector<double> scores;
    for (std::int64_t i = 0; i < splits; ++i) {
      const std::int64_t begin = i * n / splits;
      const Tensor part = p.narrow(0, begin, (i + 1) * n / splits - begin);
      const Tensor marginal = part.mean(0, true);
      // p log p is 0 for p = 0.
      const Tensor divergence =
          (torch::xlogy(part, part) - torch::xlogy(part, marginal)).sum(1);
      scores.push_back(std::exp(divergence.mean().item<double>()));
    }
    return spread_of(scores);
  });
}

std::vector<double> class_histogram(const Blob& probabilities) {
  return plain_exceptions([&] {
    const Tensor p = to_tensor(probabilities);
    const Tensor counts = torch::bincount(p.argmax(1), {}, p.size(1));
    std::vector<double> shares;
    for (std::int64_t i = 0; i < counts.size(0); ++i)
      shares.push_back(counts[i].item<double>() /
                       static_cast<double>(p.size(0)));
    return shares;
  });
}

double total_variation(const std::vector<double>& a,
                       const std::vector<double>& b) {
  MDGAN_CHECK(a.size() == b.size());
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += std::abs(a[i] - b[i]);
  return sum / 2;
}

// --- distances to the real images -------------------------------------------

struct RealFeatures::Impl {
  Tensor features;
  Normal normal;
  Tensor norms;
  Tensor radii;
  // The kernel's means within the random subsets of `subset_size`, as far as
  // they were needed.
  std::uint32_t subset_size = 0;
  std::vector<double> within;
};

RealFeatures::RealFeatures(const Blob& features)
    : impl_(std::make_unique<Impl>()) {
  plain_exceptions([&] {
    const torch::NoGradGuard no_grad;
    const Tensor x = to_tensor(features);
    MDGAN_CHECK(x.size(0) > kNeighbour);
    impl_->features = x;
    impl_->normal = normal_of(x);
    impl_->norms = squared_norms(x);
    impl_->radii = radii_of(x);
  });
}

RealFeatures::~RealFeatures() = default;

double RealFeatures::frechet_distance(const Blob& features) const {
  return plain_exceptions([&] {
    const torch::NoGradGuard no_grad;
    return mdgan::frechet_distance(impl_->normal,
                                   normal_of(to_tensor(features)));
  });
}

MeanAndSpread RealFeatures::kernel_distance(const Blob& features,
                                            std::uint32_t subsets,
                                            std::uint32_t size) const {
  return plain_exceptions([&] {
    const torch::NoGradGuard no_grad;
    const Tensor all = to_tensor(features);
    size = static_cast<std::uint32_t>(
        std::min({std::int64_t{size}, all.size(0), impl_->features.size(0)}));
    if (std::exchange(impl_->subset_size, size) != size) impl_->within.clear();
    std::vector<double> values;
    for (std::uint32_t i = 0; i < subsets; ++i) {
      Random random(0, Purpose::kMetricSubsets, i);
      const Tensor real = pick(impl_->features, size, random);
      const Tensor generated = pick(all, size, random);
      if (impl_->within.size() <= i) impl_->within.push_back(mean_within(real));
      values.push_back(impl_->within[i] + mean_within(generated) -
                       2 * mean_between(real, generated));
    }
    return spread_of(values);
  });
}

PrecisionRecall RealFeatures::precision_recall(const Blob& features) const {
  return plain_exceptions([&] {
    const torch::NoGradGuard no_grad;
    const Tensor generated = to_tensor(features);
    const Tensor& real = impl_->features;
    const Tensor radii = radii_of(generated);
    const std::int64_t n = generated.size(0);
    std::int64_t precise = 0;
    Tensor recalled = torch::zeros({real.size(0)}, torch::kBool);
    for (std::int64_t at = 0; at < n; at += kBlock) {
      const std::int64_t rows = std::min(kBlock, n - at);
      const Tensor block =
          distances(generated.narrow(0, at, rows), real, impl_->norms);
      precise +=
          block.le(impl_->radii.unsqueeze(0)).any(1).sum().item<std::int64_t>();
      recalled.logical_or_(recalled_by(block, radii.narrow(0, at, rows)));
    }
    PrecisionRecall result;
    result.precision = static_cast<double>(precise) / static_cast<double>(n);
    result.recall =
        recalled.sum().item<double>() / static_cast<double>(real.size(0));
    const double sum = result.precision + result.recall;
    if (sum > 0) result.f_score = 2 * result.precision * result.recall / sum;
    return result;
  });
}

double RealFeatures::recall(const Blob& features, const Blob& radii) const {
  return plain_exceptions([&] {
    const torch::NoGradGuard no_grad;
    const Tensor generated = to_tensor(features);
    const Tensor all_radii = to_tensor(radii);
    const Tensor& real = impl_->features;
    const std::int64_t n = generated.size(0);
    Tensor recalled = torch::zeros({real.size(0)}, torch::kBool);
    for (std::int64_t at = 0; at < n; at += kBlock) {
      const std::int64_t rows = std::min(kBlock, n - at);
      recalled.logical_or_(recalled_by(
          distances(generated.narrow(0, at, rows), real, impl_->norms),
          all_radii.narrow(0, at, rows)));
    }
    return recalled.sum().item<double>() / static_cast<double>(real.size(0));
  });
}

}  // namespace mdgan
