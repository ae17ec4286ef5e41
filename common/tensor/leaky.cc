#include "common/tensor/leaky.h"

namespace mdgan {

torch::Tensor leaky(const torch::Tensor& x) {
  return torch::leaky_relu(x, kLeakySlope);
}

torch::Tensor leaky_(torch::Tensor x) {
  return torch::leaky_relu_(x, kLeakySlope);
}

}  // namespace mdgan
