// Compares a layer and its derivatives with LibTorch's own.
#pragma once

#include <torch/torch.h>

#include <vector>

#include "tests/support/catch.h"

namespace mdgan::test {

// Everything that training takes from a layer: y, the gradients of a loss by x
// and the parameters, and those of a penalty on the gradient by x.
template <typename Forward>
std::vector<torch::Tensor> taken_from(const Forward& forward,
                                      const std::vector<torch::Tensor>& layer,
                                      const torch::Tensor& x) {
  const torch::Tensor leaf = x.clone().requires_grad_();
  std::vector<torch::Tensor> inputs{leaf};
  inputs.insert(inputs.end(), layer.begin(), layer.end());
  const torch::Tensor y = forward(leaf);
  std::vector<torch::Tensor> taken{y.detach()};
  const auto first = torch::autograd::grad({y.sin().sum()}, inputs, {},
                                           /*retain_graph=*/true,
                                           /*create_graph=*/true);
  for (const torch::Tensor& gradient : first) taken.push_back(gradient);
  for (const torch::Tensor& gradient :
       torch::autograd::grad({first[0].square().sum()}, inputs))
    taken.push_back(gradient);
  // Without a graph, and one at a time, there are shorter ways. The gradient by
  // y is row-major, whatever layout y has.
  const torch::Tensor by_y = torch::linspace(-1, 2, y.numel()).view(y.sizes());
  for (const torch::Tensor& input : inputs)
    taken.push_back(
        torch::autograd::grad({forward(leaf)}, {input}, {by_y}).front());
  return taken;
}

inline void check_alike(const std::vector<torch::Tensor>& found,
                        const std::vector<torch::Tensor>& expected) {
  REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    INFO("tensor " << i);
    REQUIRE(found[i].sizes() == expected[i].sizes());
    const double size = expected[i].norm().item<double>();
    CHECK((found[i] - expected[i]).norm().item<double>() <= 1e-5 * size);
  }
}

}  // namespace mdgan::test
