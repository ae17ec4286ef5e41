// Normal distributions of features, and how far apart they are: for metrics.cc
// and feature_statistics.cc. The one header here that has LibTorch's types.
#pragma once

#include <ATen/core/Tensor.h>

namespace mdgan {

struct Normal {
  at::Tensor mean;        // [f] float64
  at::Tensor covariance;  // [f, f] float64
  at::Tensor root;        // [f, f] float64: the covariance's square root
};
// `root` is made of the others.
Normal normal_with(at::Tensor mean, at::Tensor covariance);
// Of features [n, f], with their unbiased covariance. REQUIRES: n > 1.
Normal normal_of(const at::Tensor& features);

// |m_a - m_b|^2 + tr(A + B - 2 sqrt(A B)): Dowson and Landau 1982.
double frechet_distance(const Normal& a, const Normal& b);

}  // namespace mdgan
