#include "common/tensor/in_host_memory.h"

namespace mdgan {

std::vector<torch::Tensor> in_host_memory(
    const std::vector<torch::Tensor>& tensors) {
  std::vector<torch::Tensor> result;
  if (tensors.front().is_cpu()) {
    for (const torch::Tensor& tensor : tensors)
      result.push_back(tensor.detach().contiguous());
    return result;
  }
  std::vector<torch::Tensor> flat;
  for (const torch::Tensor& tensor : tensors)
    flat.push_back(tensor.detach().flatten());
  const torch::Tensor all = torch::cat(flat).to(torch::kCPU);
  std::int64_t at = 0;
  for (const torch::Tensor& tensor : tensors) {
    result.push_back(all.narrow(0, at, tensor.numel()).view(tensor.sizes()));
    at += tensor.numel();
  }
  return result;
}

}  // namespace mdgan
