#include "common/evaluate/normals.h"

#include <torch/torch.h>

#include <algorithm>
#include <utility>

namespace mdgan {

using torch::Tensor;

Normal normal_with(Tensor mean, Tensor covariance) {
  const auto [values, vectors] = torch::linalg_eigh(covariance);
  // Rounding makes small eigenvalues negative.
  Tensor root = (vectors * values.clamp_min(0).sqrt()).mm(vectors.t());
  return {std::move(mean), std::move(covariance), std::move(root)};
}

Normal normal_of(const Tensor& features) {
  const Tensor x = features.to(torch::kFloat64);
  Tensor mean = x.mean(0);
  const Tensor centred = x - mean;
  return normal_with(
      mean, centred.t().mm(centred) / static_cast<double>(x.size(0) - 1));
}

double frechet_distance(const Normal& a, const Normal& b) {
  const double means = (a.mean - b.mean).square().sum().item<double>();
  // tr sqrt(A B) is the sum of the singular values of sqrt(A) sqrt(B).
  const double cross =
      torch::linalg_svdvals(a.root.mm(b.root)).sum().item<double>();
  const double traces =
      (a.covariance.trace() + b.covariance.trace()).item<double>();
  return std::max(0.0, means + traces - 2 * cross);
}

}  // namespace mdgan
