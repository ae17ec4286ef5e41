#include "common/models/linear.h"

#include <torch/torch.h>

#include "tests/support/catch.h"
#include "tests/support/derivatives.h"

namespace mdgan::test {

TEST_CASE("a linear layer is the layer's, and so are its derivatives",
          "[models]") {
  torch::manual_seed(2);
  struct Size {
    std::int64_t n, in, out;
    bool bias;
  };
  for (const Size& size : {Size{10, 300, 64, false}, Size{20, 130, 11, true},
                           Size{1, 7, 200, true}}) {
    INFO(size.n << " samples of " << size.in << " to " << size.out);
    torch::nn::Linear layer(
        torch::nn::LinearOptions(size.in, size.out).bias(size.bias));
    // One is as it comes, the other a view that is not contiguous.
    for (const torch::Tensor& x :
         {torch::randn({size.n, size.in}), torch::randn({size.in, size.n}).t()})
      check_alike(
          taken_from(
              [&](const auto& samples) { return linear(layer, samples); },
              layer->parameters(), x),
          taken_from(
              [&](const auto& samples) { return layer->forward(samples); },
              layer->parameters(), x));
    CHECK_THROWS(linear(layer, torch::randn({size.n, size.in - 1})));
  }
}

}  // namespace mdgan::test
