// A convolution whose weights begin as 0, as the last one of a residual branch
// that is to begin as the identity (Zhang et al. 2019, "Fixup initialization").
#pragma once

#include <torch/torch.h>

namespace mdgan {

class ZeroConvolutionImpl final : public torch::nn::Conv2dImpl {
 public:
  using torch::nn::Conv2dImpl::Conv2dImpl;
};
TORCH_MODULE(ZeroConvolution);

}  // namespace mdgan
