#include "common/tensor/flat_parameters.h"

#include <cstdint>
#include <vector>

#include "common/base/result.h"

namespace mdgan {
torch::Tensor flatten_parameters(torch::nn::Module& module) {
  const torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> parameters = module.parameters();
  MDGAN_CHECK(!parameters.empty());
  std::int64_t size = 0;
  for (const auto& parameter : parameters) {
    MDGAN_CHECK(parameter.scalar_type() == torch::kFloat32);
    MDGAN_CHECK(parameter.device() == parameters.front().device());
    size += parameter.numel();
  }
  torch::Tensor buffer =
      torch::empty({size}, parameters.front().detach().options());
  std::int64_t offset = 0;
  for (auto& parameter : parameters) {
    const torch::Tensor view =
        buffer.narrow(0, offset, parameter.numel()).view(parameter.sizes());
    view.copy_(parameter);
    parameter.set_data(view);
    offset += view.numel();
  }
  return buffer;
}

std::vector<torch::Tensor> gradients_of(
    const torch::Tensor& output, const torch::Tensor& weights,
    const std::vector<torch::Tensor>& parameters) {
  auto gradients = torch::autograd::grad(
      {output}, parameters, {weights}, /*retain_graph=*/false,
      /*create_graph=*/false, /*allow_unused=*/true);
  for (std::size_t i = 0; i < parameters.size(); ++i)
    gradients[i] = gradients[i].defined() ? gradients[i].contiguous()
                                          : torch::zeros_like(parameters[i]);
  return gradients;
}

}  // namespace mdgan
