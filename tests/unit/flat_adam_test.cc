#include "common/tensor/flat_adam.h"

#include <torch/torch.h>

#include <cmath>
#include <vector>

#include "common/base/random.h"
#include "common/tensor/flat_adam_kernel.h"
#include "tests/support/catch.h"

namespace mdgan::test {
namespace {

torch::Tensor normal(std::int64_t n, Random& random) {
  torch::Tensor out = torch::empty({n});
  random.fill_normal({out.data_ptr<float>(), static_cast<std::size_t>(n)});
  return out;
}

double largest_difference(const torch::Tensor& a, const torch::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

constexpr std::uint64_t kSeed = 7;

}  // namespace

TEST_CASE("the fused Adam follows torch::optim::Adam") {
  // 2,500 is neither a multiple of the kernel's block nor of a vector's width.
  const auto size = GENERATE(std::int64_t{1}, std::int64_t{7},
                             std::int64_t{1024}, std::int64_t{2500});
  INFO("seed " << kSeed << ", " << size << " parameters");
  const AdamSpec spec{
      .learning_rate = 1e-2, .beta1 = 0.5, .beta2 = 0.999, .epsilon = 1e-8};
  Random random(kSeed, Purpose::kSimulation);
  torch::Tensor values = normal(size, random);
  torch::Tensor reference = values.clone().requires_grad_(true);
  FlatAdam adam(spec, values);
  torch::optim::Adam torch_adam({reference},
                                torch::optim::AdamOptions(spec.learning_rate)
                                    .betas({spec.beta1, spec.beta2})
                                    .eps(spec.epsilon));
  for (int step = 0; step < 50; ++step) {
    const torch::Tensor gradient = normal(size, random) * 0.1;
    adam.step(values, gradient);
    reference.mutable_grad() = gradient;
    torch_adam.step();
  }
  CHECK(adam.steps() == 50);
  CHECK(largest_difference(values, reference.detach()) < 1e-5);
}

TEST_CASE("Adam's first step has the size that Kingma and Ba's formula gives") {
  const AdamSpec spec{
      .learning_rate = 0.1, .beta1 = 0.9, .beta2 = 0.99, .epsilon = 0.5};
  torch::Tensor values = torch::tensor({1.0F, 1.0F});
  FlatAdam adam(spec, values);
  adam.step(values, torch::tensor({2.0F, -0.5F}));
  // Bias correction makes the first moments g and g^2: 0.1 * g / (|g| + 0.5).
  CHECK(values[0].item<double>() == Approx(1.0 - 0.1 * 2.0 / 2.5));
  CHECK(values[1].item<double>() == Approx(1.0 + 0.1 * 0.5 / 1.0));
  CHECK(adam.first_moment()[0].item<double>() == Approx(0.2));
  CHECK(adam.second_moment()[0].item<double>() == Approx(0.04));
}

TEST_CASE("the moving average follows the values after each step") {
  const AdamSpec spec{.learning_rate = 0.1};
  torch::Tensor values = torch::zeros({3000});
  torch::Tensor average = torch::ones({3000});
  torch::Tensor alone = values.clone();
  FlatAdam adam(spec, values);
  FlatAdam without_average(spec, alone);
  double expected = 1.0;
  for (int step = 0; step < 3; ++step) {
    const torch::Tensor gradient = torch::full({3000}, 0.5F);
    adam.step(values, gradient, average, 0.9);
    without_average.step(alone, gradient);
    expected = 0.9 * expected + 0.1 * values[2999].item<double>();
  }
  CHECK(values.equal(alone));
  CHECK(average[0].item<double>() == Approx(expected));
  CHECK(average[2999].item<double>() == Approx(expected));
}

TEST_CASE("a gradient in parts is a gradient") {
  INFO("seed " << kSeed);
  Random random(kSeed, Purpose::kSimulation);
  const AdamSpec spec{.learning_rate = 0.1};
  torch::Tensor whole = normal(1000, random);
  torch::Tensor in_parts = whole.clone();
  torch::Tensor whole_average = whole.clone(), parts_average = whole.clone();
  FlatAdam adam(spec, whole), other(spec, in_parts);
  for (int step = 0; step < 3; ++step) {
    const torch::Tensor gradient = normal(1000, random);
    const std::vector<torch::Tensor> parts{
        gradient.slice(0, 0, 7), gradient.slice(0, 7, 647).view({32, 20}),
        gradient.slice(0, 647)};
    adam.step(whole, gradient, whole_average, 0.9);
    other.step(in_parts, parts, parts_average, 0.9);
  }
  CHECK(in_parts.equal(whole));
  CHECK(parts_average.equal(whole_average));
  CHECK(other.second_moment().equal(adam.second_moment()));
}

TEST_CASE("Adam on a device does what the fused loop does") {
  INFO("seed " << kSeed);
  Random random(kSeed, Purpose::kSimulation);
  const AdamCoefficients c{.beta1 = 0.5F,
                           .one_minus_beta1 = 0.5F,
                           .beta2 = 0.99F,
                           .one_minus_beta2 = 0.01F,
                           .step_size = 0.02F,
                           .second_scale = 3.0F,
                           .epsilon = 1e-6F,
                           .decay = 0.9F,
                           .one_minus_decay = 0.1F};
  torch::Tensor w = normal(100, random), g = normal(100, random);
  torch::Tensor m = normal(100, random), v = normal(100, random).square();
  torch::Tensor a = normal(100, random);
  torch::Tensor w2 = w.clone(), m2 = m.clone(), v2 = v.clone(), a2 = a.clone();
  adam_step(100, w.data_ptr<float>(), g.data_ptr<float>(), m.data_ptr<float>(),
            v.data_ptr<float>(), a.data_ptr<float>(), c);
  adam_step_on_device(w2, g, m2, v2, &a2, c);
  CHECK(largest_difference(w, w2) < 1e-6);
  CHECK(largest_difference(m, m2) < 1e-6);
  CHECK(largest_difference(v, v2) < 1e-6);
  CHECK(largest_difference(a, a2) < 1e-6);
}

TEST_CASE(
    "the fused loop gives one value's result at every place, bit for bit") {
  // Vectors, their remainder and the end of a block must round alike.
  const AdamCoefficients c{.beta1 = 0.5F,
                           .one_minus_beta1 = 0.5F,
                           .beta2 = 0.999F,
                           .one_minus_beta2 = 0.001F,
                           .step_size = 0.0007F,
                           .second_scale = 31.6F,
                           .epsilon = 1e-8F};
  const std::size_t n = 1024 + 13;
  std::vector<float> w(n, 0.3F), g(n, 0.0123F), m(n, -0.7F), v(n, 0.011F);
  adam_step(n, w.data(), g.data(), m.data(), v.data(), nullptr, c);
  const float first = 0.5F * -0.7F + 0.5F * 0.0123F;
  const float second = 0.999F * 0.011F + 0.001F * (0.0123F * 0.0123F);
  CHECK(m[0] == Approx(first));
  CHECK(v[0] == Approx(second));
  for (std::size_t i = 1; i < n; ++i) {
    REQUIRE(w[i] == w[0]);
    REQUIRE(m[i] == m[0]);
    REQUIRE(v[i] == v[0]);
  }
}

TEST_CASE("a restored Adam goes on as the saved one would have") {
  INFO("seed " << kSeed);
  Random random(kSeed, Purpose::kSimulation);
  torch::Tensor values = normal(50, random);
  FlatAdam adam({}, values);
  for (int step = 0; step < 3; ++step) adam.step(values, normal(50, random));
  torch::Tensor resumed = values.clone();
  FlatAdam other({}, resumed);
  other.restore(adam.first_moment(), adam.second_moment(), adam.steps());
  const torch::Tensor gradient = normal(50, random);
  adam.step(values, gradient);
  other.step(resumed, gradient);
  CHECK(values.equal(resumed));
  other.reset();
  CHECK(other.steps() == 0);
  CHECK(other.first_moment().abs().max().item<float>() == 0.0F);
  CHECK(other.second_moment().abs().max().item<float>() == 0.0F);
}

}  // namespace mdgan::test
