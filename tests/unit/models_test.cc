// What each network computes, and how many parameters it has.
#include <memory>
#include <string>
#include <vector>

#include "common/models/registry.h"
#include "tests/support/catch.h"
#include "tests/support/models.h"

namespace mdgan::test {
namespace {

// Without the label embedding, which the papers' counts leave out.
std::int64_t count(const torch::nn::Module& module) {
  std::int64_t total = 0;
  for (const auto& parameter : module.named_parameters())
    if (parameter.key() != "embedding.weight")
      total += parameter.value().numel();
  return total;
}

struct Counts {
  std::int64_t generator;
  std::int64_t discriminator;
};

Counts counts(const Case& c, Condition condition) {
  const auto g = make_generator(c.model, c.image, condition, kLatent);
  const auto d = make_discriminator(c.model, c.image, condition);
  REQUIRE(g.ok());
  REQUIRE(d.ok());
  return {count(**g), count(**d)};
}

TEST_CASE("the MLP has exactly the parameters of the paper", "[models]") {
  const Counts n = counts({"mlp", kMnist}, Condition::kAcgan);
  CHECK(n.generator == 716'560);
  CHECK(n.discriminator == 670'219);
}

TEST_CASE("the paper's CNNs have the parameters of its layers", "[models]") {
  // 16 minibatch kernels of dimension 4 on 8192 features, and their way out.
  constexpr std::int64_t kMinibatch = 8192 * 16 * 4 + 16 * (1 + kClasses);
  const Counts mnist = counts({"mnist-cnn", kMnist}, Condition::kAcgan);
  CHECK(mnist.generator == 736'705);
  CHECK(mnist.discriminator == 1'662'603 + kMinibatch);
  const Counts cifar = counts({"cifar10-cnn", kCifar}, Condition::kAcgan);
  CHECK(cifar.generator == 2'932'035);
  CHECK(cifar.discriminator == 1'662'891 + kMinibatch);
  CHECK(kMinibatch == 524'464);
}

TEST_CASE("DCGAN, ResNet and R3GAN have the parameters their headers state",
          "[models]") {
  const auto check = [](const std::string& model, std::uint32_t side,
                        std::int64_t g, std::int64_t d) {
    INFO(model << " " << side);
    const Counts n = counts({model, {3, side, side, 0}}, Condition::kNone);
    CHECK(n.generator == g);
    CHECK(n.discriminator == d);
  };
  check("dcgan", 32, 1'068'928, 662'977);
  check("dcgan", 64, 3'576'704, 2'764'737);
  check("dcgan", 128, 12'786'560, 11'162'561);
  check("resnet", 32, 8'044'099, 2'579'649);
  check("resnet", 64, 12'763'715, 7'299'265);
  check("r3gan", 32, 1'049'699, 1'024'129);
  check("r3gan", 64, 1'789'027, 1'763'457);
}

TEST_CASE("a label embedding has one row a class and comes last", "[models]") {
  for (const Case& c : kCases) {
    INFO(describe(c, Condition::kProjection));
    const auto g = generator(c, Condition::kAcgan)->named_parameters();
    CHECK(g.items().back().key() == "embedding.weight");
    CHECK((g["embedding.weight"].sizes() ==
           torch::IntArrayRef{c.image.classes, kLatent}));
    const auto d = discriminator(c, Condition::kProjection)->named_parameters();
    CHECK(d.items().back().key() == "embedding.weight");
    CHECK(d["embedding.weight"].size(0) == c.image.classes);
    CHECK(generator(c, Condition::kNone)
              ->named_parameters()
              .find("embedding.weight") == nullptr);
    CHECK(discriminator(c, Condition::kAcgan)
              ->named_parameters()
              .find("embedding.weight") == nullptr);
  }
}

void check_shapes(const Case& c, Condition condition) {
  INFO(describe(c, condition));
  const torch::NoGradGuard no_grad;
  const bool none = condition == Condition::kNone;
  const torch::Tensor y = none ? torch::Tensor() : labels(2, c.image);
  const torch::Tensor x = generator(c, condition)->forward(latents(2), y);
  REQUIRE((x.sizes() == torch::IntArrayRef{2, c.image.channels, c.image.height,
                                           c.image.width}));
  CHECK(x.abs().max().item<float>() <= 1.0F);
  CHECK(x.std().item<float>() > 0.0F);

  const auto out = discriminator(c, condition)->forward(x, y);
  CHECK((out.logits.sizes() == torch::IntArrayRef{2}));
  CHECK(out.logits.isfinite().all().item<bool>());
  REQUIRE(out.class_logits.defined() == (condition == Condition::kAcgan));
  if (out.class_logits.defined())
    CHECK((out.class_logits.sizes() == torch::IntArrayRef{2, c.image.classes}));
}

TEST_CASE("models give the shapes they promise under every condition",
          "[models]") {
  for (const Case& c : kCases)
    for (const Condition condition : kConditions) check_shapes(c, condition);
  check_shapes({"dcgan", {1, 64, 64, 2}}, Condition::kProjection);
  check_shapes({"dcgan", {3, 128, 128, 2}}, Condition::kAcgan);
  check_shapes({"resnet", {3, 64, 64, 2}}, Condition::kAcgan);
  check_shapes({"r3gan", {3, 64, 64, 2}}, Condition::kAcgan);
}

TEST_CASE("a conditional model's output depends on the label", "[models]") {
  const torch::NoGradGuard no_grad;
  for (const Case& c : kCases) {
    INFO(describe(c, Condition::kProjection));
    const auto g = generator(c, Condition::kAcgan);
    const torch::Tensor zeros = torch::zeros({2}, torch::kInt64);
    CHECK_FALSE(
        g->forward(latents(2), zeros).equal(g->forward(latents(2), zeros + 1)));
    const auto d = discriminator(c, Condition::kProjection);
    const torch::Tensor x = images(2, c.image);
    CHECK_FALSE(
        d->forward(x, zeros).logits.equal(d->forward(x, zeros + 1).logits));
  }
}

TEST_CASE("projection adds the features' product with the label's row",
          "[models]") {
  const torch::NoGradGuard no_grad;
  const auto d = discriminator({"mlp", kMnist}, Condition::kProjection);
  const torch::Tensor x = images(3, kMnist);
  const torch::Tensor y = torch::tensor({4, 0, 4}, torch::kInt64);
  const torch::Tensor with = d->forward(x, y).logits;
  auto parameters = d->named_parameters();
  // The last layer with the label's row added to its weights is the same map.
  const torch::Tensor row = parameters["embedding.weight"][4].clone();
  parameters["embedding.weight"].zero_();
  parameters["fc3.weight"].add_(row);
  const torch::Tensor expected = d->forward(x, y).logits;
  CHECK(with[0].item<float>() == Approx(expected[0].item<float>()));
  CHECK(with[2].item<float>() == Approx(expected[2].item<float>()));
  CHECK(with[1].item<float>() != Approx(expected[1].item<float>()));
}

TEST_CASE("only minibatch discrimination lets samples of a batch meet",
          "[models]") {
  const torch::NoGradGuard no_grad;
  for (const Case& c : kCases) {
    INFO(describe(c, Condition::kAcgan));
    const auto d = discriminator(c, Condition::kAcgan);
    const bool mixes = c.model.find("-cnn") != std::string::npos;
    const torch::Tensor x = images(4, c.image);
    const torch::Tensor alone = d->forward(x.slice(0, 0, 2), {}).logits;
    const torch::Tensor amid = d->forward(x, {}).logits.slice(0, 0, 2);
    CHECK(torch::allclose(alone, amid, 1e-5, 1e-6) != mixes);
  }
}

TEST_CASE("batches that share a pass do not mix", "[models]") {
  const torch::NoGradGuard no_grad;
  for (const Case& c : kCases) {
    INFO(describe(c, Condition::kAcgan));
    const auto d = discriminator(c, Condition::kAcgan);
    const torch::Tensor x = images(6, c.image);
    const torch::Tensor together = d->forward(x, {}, /*batches=*/2).logits;
    const torch::Tensor apart =
        torch::cat({d->forward(x.slice(0, 0, 3), {}).logits,
                    d->forward(x.slice(0, 3, 6), {}).logits});
    CHECK(torch::allclose(together, apart, 1e-4, 1e-5));
  }
}

TEST_CASE("minibatch discrimination tells a collapsed batch by its likeness",
          "[models]") {
  const torch::NoGradGuard no_grad;
  const auto d = discriminator({"mnist-cnn", kMnist}, Condition::kNone);
  auto parameters = d->named_parameters();
  // Only the minibatch outputs speak: the logit is then the sum of likenesses.
  parameters["fc.weight"].zero_();
  parameters["fc.weight"].slice(1, 8192).fill_(1.0);
  parameters["fc.bias"].zero_();
  const torch::Tensor various = images(5, kMnist);
  const torch::Tensor same = various.slice(0, 0, 1).expand_as(various);
  const torch::Tensor collapsed = d->forward(same, {}).logits;
  CHECK(torch::allclose(collapsed, torch::full({5}, 16.0 * 5)));
  CHECK((d->forward(various, {}).logits < collapsed).all().item<bool>());
}

// Back-propagates a loss on every output of D through both models.
void backward(const Case& c, Generator& g, Discriminator& d) {
  const torch::Tensor y = labels(4, c.image);
  const auto out = d.forward(g.forward(latents(4), y), y);
  torch::Tensor loss = out.logits.square().sum();
  if (out.class_logits.defined()) loss = loss + out.class_logits.square().sum();
  loss.backward();
}

// What begins as 0 hides the layers before it.
void fill_zeros(Model& model) {
  const torch::NoGradGuard no_grad;
  for (torch::Tensor& parameter : model.parameters())
    if (!parameter.any().item<bool>()) parameter.normal_();
}

void check_gradients(const Model& model) {
  for (const auto& parameter : model.named_parameters()) {
    INFO(parameter.key());
    REQUIRE(parameter.value().grad().defined());
    CHECK(parameter.value().grad().abs().max().item<float>() > 0.0F);
  }
}

TEST_CASE("gradients reach every parameter", "[models]") {
  for (const Case& c : kCases) {
    for (const Condition condition :
         {Condition::kAcgan, Condition::kProjection}) {
      INFO(describe(c, condition));
      const auto g = generator(c, condition);
      const auto d = discriminator(c, condition);
      fill_zeros(*g);
      fill_zeros(*d);
      backward(c, *g, *d);
      check_gradients(*g);
      check_gradients(*d);
    }
  }
}

TEST_CASE("a discriminator has a second derivative, which penalties need",
          "[models]") {
  for (const Case& c : kCases) {
    INFO(describe(c, Condition::kNone));
    const auto d = discriminator(c, Condition::kNone);
    const torch::Tensor x = images(3, c.image).requires_grad_();
    const torch::Tensor gradient = torch::autograd::grad(
        {d->forward(x, {}).logits.sum()}, {x}, {}, /*retain_graph=*/true,
        /*create_graph=*/true)[0];
    gradient.square().sum().backward();
    const torch::Tensor first = d->parameters().front().grad();
    REQUIRE(first.defined());
    CHECK(first.isfinite().all().item<bool>());
    CHECK(first.abs().max().item<float>() > 0.0F);
  }
}

TEST_CASE("a discriminator has no buffers", "[models]") {
  for (const Case& c : kCases) {
    INFO(describe(c, Condition::kProjection));
    CHECK(discriminator(c, Condition::kProjection)->buffers().empty());
  }
}

TEST_CASE("the forward passes give the same bits again", "[models]") {
  const torch::NoGradGuard no_grad;
  for (const Case& c : kCases) {
    INFO(describe(c, Condition::kAcgan));
    const auto g = generator(c, Condition::kAcgan);
    const auto d = discriminator(c, Condition::kAcgan);
    const torch::Tensor y = labels(3, c.image);
    const torch::Tensor x = g->forward(latents(3), y);
    CHECK(x.equal(g->forward(latents(3), y)));
    CHECK(d->forward(x, y).logits.equal(d->forward(x, y).logits));
  }
}

}  // namespace
}  // namespace mdgan::test
