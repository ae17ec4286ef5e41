#include <torch/torch.h>

#include <cmath>
#include <span>
#include <vector>

#include "common/base/random.h"
#include "common/losses/adversarial.h"
#include "common/losses/loss_gradients.h"
#include "tests/support/catch.h"

namespace mdgan::test {
namespace {

double value(const torch::Tensor& scalar) { return scalar.item<double>(); }

torch::Tensor doubles(std::vector<double> values) {
  return torch::tensor(values, torch::kFloat64);
}

double log1p_exp(double y) { return std::log1p(std::exp(y)); }
double sigmoid(double y) { return 1.0 / (1.0 + std::exp(-y)); }

torch::Tensor leaf(double x) { return doubles({x}).requires_grad_(true); }

// The Dirac-GAN (Mescheder et al. 2018, section 2): G(z) = theta, D(x) = psi x,
// all real samples at 0. Returns the distances from the equilibrium (0, 0), at
// the start and after `steps` of simultaneous gradient descent.
struct Distances {
  double start, end;
};
Distances dirac_gan(Loss loss, double r1_gamma, double r2_gamma, int steps) {
  constexpr double kRate = 0.1;
  torch::Tensor theta = leaf(1.0), psi = leaf(1.0);
  const auto distance = [&] { return std::hypot(value(theta), value(psi)); };
  const double start = distance();
  for (int step = 0; step < steps; ++step) {
    const torch::Tensor real =
        torch::zeros({1, 1}, torch::kFloat64).requires_grad_(true);
    const torch::Tensor generated =
        theta.detach().view({1, 1}).requires_grad_(true);
    const torch::Tensor y_real = (psi * real).flatten();
    const torch::Tensor y_generated = (psi * generated).flatten();
    torch::Tensor d_loss = discriminator_loss(loss, y_real, y_generated);
    if (r1_gamma > 0)
      d_loss = d_loss + zero_centred_penalty(y_real, real, r1_gamma);
    if (r2_gamma > 0)
      d_loss = d_loss + zero_centred_penalty(y_generated, generated, r2_gamma);
    const torch::Tensor g_loss =
        generator_loss(loss, psi.detach() * theta, y_real.detach());
    const auto d_gradient = torch::autograd::grad({d_loss}, {psi}).front();
    const auto g_gradient = torch::autograd::grad({g_loss}, {theta}).front();
    const torch::NoGradGuard no_grad;
    psi.sub_(d_gradient, kRate);
    theta.sub_(g_gradient, kRate);
  }
  return {start, distance()};
}

}  // namespace

TEST_CASE("the losses are those of their papers") {
  const torch::Tensor real = doubles({0.5, -2.0});
  const torch::Tensor generated = doubles({1.0, -0.25, 3.0});
  const double binary =
      (log1p_exp(-0.5) + log1p_exp(2.0)) / 2 +
      (log1p_exp(1.0) + log1p_exp(-0.25) + log1p_exp(3.0)) / 3;
  for (const Loss loss : {Loss::kNonSaturating, Loss::kSaturating})
    CHECK(value(discriminator_loss(loss, real, generated)) == Approx(binary));
  CHECK(value(discriminator_loss(Loss::kHinge, real, generated)) ==
        Approx((0.5 + 3.0) / 2 + (2.0 + 0.75 + 4.0) / 3));
  CHECK(value(discriminator_loss(Loss::kWassersteinGp, real, generated)) ==
        Approx((1.0 - 0.25 + 3.0) / 3 - (0.5 - 2.0) / 2));

  // Each generated image against a real one: R3GAN's, whose D and G differ by
  // their signs alone.
  const torch::Tensor others = doubles({1.0, -0.25});
  CHECK(value(discriminator_loss(Loss::kRelativistic, real, others)) ==
        Approx((log1p_exp(1.0 - 0.5) + log1p_exp(-0.25 + 2.0)) / 2));
  CHECK(value(generator_loss(Loss::kRelativistic, others, real)) ==
        Approx((log1p_exp(0.5 - 1.0) + log1p_exp(-2.0 + 0.25)) / 2));

  CHECK(value(generator_loss(Loss::kNonSaturating, generated)) ==
        Approx((log1p_exp(-1.0) + log1p_exp(0.25) + log1p_exp(-3.0)) / 3));
  // log(1 - D) with D = sigmoid(y), as the MD-GAN paper writes it.
  CHECK(value(generator_loss(Loss::kSaturating, generated)) ==
        Approx((std::log(1 - sigmoid(1.0)) + std::log(1 - sigmoid(-0.25)) +
                std::log(1 - sigmoid(3.0))) /
               3));
  for (const Loss loss : {Loss::kHinge, Loss::kWassersteinGp})
    CHECK(value(generator_loss(loss, generated)) ==
          Approx(-(1.0 - 0.25 + 3.0) / 3));
}

TEST_CASE("only the saturating loss stops teaching G when D is sure") {
  const auto slope = [](Loss loss, double y) {
    const torch::Tensor logit = leaf(y);
    return value(
        torch::autograd::grad({generator_loss(loss, logit)}, {logit}).front());
  };
  for (const double y : {-6.0, -1.0, 0.0, 2.0}) {
    CHECK(slope(Loss::kNonSaturating, y) == Approx(-sigmoid(-y)));
    CHECK(slope(Loss::kSaturating, y) == Approx(-sigmoid(y)));
  }
  CHECK(std::abs(slope(Loss::kSaturating, -10.0)) < 1e-4);
  CHECK(std::abs(slope(Loss::kNonSaturating, -10.0)) > 0.99);
}

TEST_CASE("sure logits give finite losses") {
  for (const auto& [loss, name] : kLossNames) {
    INFO(name);
    const torch::Tensor sure = torch::tensor({1000.0F, -1000.0F});
    CHECK(std::isfinite(value(discriminator_loss(loss, sure, sure))));
    CHECK(std::isfinite(value(generator_loss(loss, sure, -sure))));
  }
}

TEST_CASE("the class loss is the mean cross-entropy") {
  const torch::Tensor logits =
      doubles({std::log(2.0), 0.0, 0.0, 0.0, 0.0, std::log(6.0)}).view({2, 3});
  const torch::Tensor labels = torch::tensor({0, 1}, torch::kInt64);
  CHECK(value(class_loss(logits, labels)) ==
        Approx((-std::log(2.0 / 4.0) - std::log(1.0 / 8.0)) / 2));
}

TEST_CASE("the zero-centred penalty is gamma/2 times the mean squared slope") {
  const torch::Tensor images =
      doubles({1.0, 2.0, 3.0, 4.0}).view({2, 1, 1, 2}).requires_grad_(true);
  // y = x0^2 + 3 x1: slopes (2 x0, 3).
  const torch::Tensor flat = images.flatten(1);
  const torch::Tensor logits =
      flat.select(1, 0).square() + 3 * flat.select(1, 1);
  CHECK(value(zero_centred_penalty(logits, images, 10.0)) ==
        Approx(5.0 * ((4.0 + 9.0) + (36.0 + 9.0)) / 2));
}

TEST_CASE("the gradient of R1 is that of finite differences") {
  constexpr std::uint64_t kSeed = 3;
  INFO("seed " << kSeed);
  Random random(kSeed, Purpose::kSimulation);
  const auto normal = [&](std::int64_t rows, std::int64_t columns) {
    torch::Tensor out = torch::empty({rows, columns});
    random.fill_normal(
        {out.data_ptr<float>(), static_cast<std::size_t>(out.numel())});
    return out.to(torch::kFloat64);
  };
  const torch::Tensor x = normal(4, 3), last = normal(5, 1);
  const torch::Tensor weights = normal(3, 5);
  const auto r1 = [&](const torch::Tensor& w) {
    const torch::Tensor images = x.clone().requires_grad_(true);
    const torch::Tensor logits =
        torch::tanh(images.matmul(w)).matmul(last).flatten();
    return zero_centred_penalty(logits, images, 2.0);
  };
  const torch::Tensor w = weights.clone().requires_grad_(true);
  const torch::Tensor gradient =
      torch::autograd::grad({r1(w)}, {w}).front().flatten();
  constexpr double kStep = 1e-5;
  for (std::int64_t i = 0; i < weights.numel(); ++i) {
    torch::Tensor up = weights.clone(), down = weights.clone();
    up.view(-1)[i] += kStep;
    down.view(-1)[i] -= kStep;
    const double difference = (value(r1(up)) - value(r1(down))) / (2 * kStep);
    CHECK(value(gradient[i]) == Approx(difference).epsilon(1e-5).margin(1e-8));
  }
}

TEST_CASE(
    "WGAN-GP's penalty pulls the critic's slope to 1 between the images") {
  const torch::Tensor real = torch::ones({6, 1, 1, 2});
  const torch::Tensor generated = torch::zeros({6, 1, 1, 2});
  const torch::Tensor slope = torch::tensor({3.0F, 4.0F}).view({1, 1, 1, 2});
  torch::Tensor seen;
  const Critic critic = [&](const torch::Tensor& images) {
    seen = images.detach();
    return (images * slope).flatten(1).sum(1);
  };
  Random random(11, Purpose::kPenalty, 2, 5);
  CHECK(value(wasserstein_penalty(critic, real, generated, 10.0, random)) ==
        Approx(10.0 * (5.0 - 1.0) * (5.0 - 1.0)));
  // One place for all the values of a pair, another for each pair, as drawn.
  Random same(11, Purpose::kPenalty, 2, 5);
  std::vector<float> places(6);
  same.fill_uniform(places, 0.0F, 1.0F);
  for (std::int64_t i = 0; i < 6; ++i)
    for (std::int64_t j = 0; j < 2; ++j)
      CHECK(seen[i][0][0][j].item<float>() ==
            Approx(places[static_cast<std::size_t>(i)]));
}

TEST_CASE("WGAN-GP's penalty has a finite gradient where the slope is zero") {
  const torch::Tensor weight = torch::zeros({2}).requires_grad_(true);
  const Critic critic = [&](const torch::Tensor& x) {
    return x.matmul(weight);
  };
  Random random(1, Purpose::kPenalty);
  const torch::Tensor penalty = wasserstein_penalty(
      critic, torch::ones({3, 2}), torch::zeros({3, 2}), 10.0, random);
  CHECK(value(penalty) == Approx(10.0));
  const auto gradient = torch::autograd::grad({penalty}, {weight}).front();
  CHECK(torch::isfinite(gradient).all().item<bool>());
}

TEST_CASE("the Dirac-GAN circles without a penalty and converges with one") {
  const Loss loss = GENERATE(Loss::kNonSaturating, Loss::kSaturating,
                             Loss::kWassersteinGp, Loss::kRelativistic);
  INFO(name_of(kLossNames, loss));
  const Distances plain = dirac_gan(loss, 0.0, 0.0, 500);
  // Simultaneous steps spiral outwards; the non-saturating G damps far from the
  // equilibrium only, and both balance on a circle of radius sqrt(2 * rate);
  // the relativistic loss, whose real logits are 0 here, has the same slopes.
  const bool damps =
      loss == Loss::kNonSaturating || loss == Loss::kRelativistic;
  CHECK(plain.end > (damps ? 0.4 : plain.start));
  CHECK(dirac_gan(loss, 1.0, 0.0, 500).end < 1e-3);  // R1
  CHECK(dirac_gan(loss, 0.0, 1.0, 500).end < 1e-3);  // R2
}

namespace {

std::span<float> floats(torch::Tensor& tensor) {
  return {tensor.data_ptr<float>(), static_cast<std::size_t>(tensor.numel())};
}

// The largest difference between what was written out and what autograd finds.
double worst(const torch::Tensor& written, const torch::Tensor& leaf) {
  return (written - leaf.grad()).abs().max().item<double>();
}

}  // namespace

TEST_CASE("the written-out gradients of the losses are autograd's") {
  const Loss loss = GENERATE(Loss::kNonSaturating, Loss::kSaturating,
                             Loss::kHinge, Loss::kRelativistic);
  INFO(name_of(kLossNames, loss));
  // Around zero, on both sides of the hinge, and far enough out to overflow a
  // careless exp().
  torch::Tensor real = torch::tensor({-120.0F, -1.5F, -0.3F, 0.2F, 2.0F, 95.0F})
                           .requires_grad_(true);
  torch::Tensor generated = (-real * 0.9).detach().requires_grad_(true);
  const torch::Tensor of_d = discriminator_loss(loss, real, generated);
  of_d.backward();
  torch::Tensor y_r = real.detach(), y_f = generated.detach();
  torch::Tensor d_r = torch::zeros(6), d_f = torch::zeros(6);
  CHECK(discriminator_loss(loss, floats(y_r), floats(y_f), floats(d_r),
                           floats(d_f)) ==
        Approx(of_d.item<double>()).epsilon(1e-6));
  CHECK(worst(d_r, real) < 1e-7);
  CHECK(worst(d_f, generated) < 1e-7);

  generated.mutable_grad().zero_();
  const torch::Tensor of_g = generator_loss(loss, generated, y_r);
  of_g.backward();
  CHECK(generator_loss(loss, floats(y_f), floats(d_f), floats(y_r)) ==
        Approx(of_g.item<double>()).epsilon(1e-6));
  CHECK(worst(d_f, generated) < 1e-7);
}

TEST_CASE("the written-out gradient of the cross-entropy is autograd's") {
  torch::Tensor logits =
      torch::tensor({{1.0F, -2.0F, 0.5F}, {90.0F, -90.0F, 3.0F}})
          .requires_grad_(true);
  const torch::Tensor labels = torch::tensor({2, 0}, torch::kInt64);
  const torch::Tensor loss = class_loss(logits, labels);
  loss.backward();
  torch::Tensor y = logits.detach(), d = torch::zeros({2, 3});
  CHECK(class_loss(floats(y), {labels.data_ptr<std::int64_t>(), 2},
                   floats(d)) == Approx(loss.item<double>()).epsilon(1e-6));
  CHECK(worst(d, logits) < 1e-7);
}

}  // namespace mdgan::test
