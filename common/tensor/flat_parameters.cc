#include "common/tensor/flat_parameters.h"

#include <cstdint>
#include <vector>

#include "protocol/result.h"

namespace mdgan {
namespace {

// A buffer of zeros for the parameters, and each one's view into it.
struct Layout {
  torch::Tensor buffer;
  std::vector<torch::Tensor> views;
};

Layout make_layout(const std::vector<torch::Tensor>& parameters) {
  MDGAN_CHECK(!parameters.empty());
  std::int64_t size = 0;
  for (const auto& parameter : parameters) {
    MDGAN_CHECK(parameter.scalar_type() == torch::kFloat32);
    MDGAN_CHECK(parameter.device() == parameters.front().device());
    size += parameter.numel();
  }
  Layout layout;
  layout.buffer = torch::zeros({size}, parameters.front().options());
  std::int64_t offset = 0;
  for (const auto& parameter : parameters) {
    layout.views.push_back(layout.buffer.narrow(0, offset, parameter.numel())
                               .view(parameter.sizes()));
    offset += parameter.numel();
  }
  return layout;
}

}  // namespace

torch::Tensor flatten_parameters(torch::nn::Module& module) {
  const torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> parameters = module.parameters();
  const Layout layout = make_layout(parameters);
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    layout.views[i].copy_(parameters[i]);
    parameters[i].set_data(layout.views[i]);
  }
  return layout.buffer;
}

torch::Tensor flatten_gradients(std::vector<torch::Tensor> parameters) {
  const torch::NoGradGuard no_grad;
  const Layout layout = make_layout(parameters);
  // backward() adds in place to a gradient that is there already.
  for (std::size_t i = 0; i < parameters.size(); ++i)
    parameters[i].mutable_grad() = layout.views[i];
  return layout.buffer;
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
