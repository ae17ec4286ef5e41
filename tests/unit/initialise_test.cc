// The weights that training begins with.
#include "common/models/initialise.h"

#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "common/base/random.h"
#include "tests/support/catch.h"
#include "tests/support/models.h"

namespace mdgan::test {
namespace {

bool equal_parameters(const torch::nn::Module& a, const torch::nn::Module& b) {
  const auto left = a.parameters();
  const auto right = b.parameters();
  for (std::size_t i = 0; i < left.size(); ++i)
    if (!left[i].equal(right[i])) return false;
  return left.size() == right.size();
}

TEST_CASE("a seed gives the same weights again and another seed others",
          "[initialise]") {
  for (const Case& c : kCases) {
    INFO(describe(c, Condition::kAcgan));
    const auto g = generator(c, Condition::kAcgan, 1);
    CHECK(equal_parameters(*g, *generator(c, Condition::kAcgan, 1)));
    CHECK_FALSE(equal_parameters(*g, *generator(c, Condition::kAcgan, 2)));
    const auto d = discriminator(c, Condition::kAcgan, 1);
    CHECK(equal_parameters(*d, *discriminator(c, Condition::kAcgan, 1)));
    CHECK_FALSE(equal_parameters(*d, *discriminator(c, Condition::kAcgan, 2)));
  }
}

TEST_CASE("first weights follow PyTorch's law, drawn in the schema's order",
          "[initialise]") {
  const auto d = discriminator({"mlp", kMnist}, Condition::kAcgan, 3);
  Random random(3, Purpose::kDiscriminatorInit);
  const auto expect = [&](const std::string& layer, std::int64_t fan_in) {
    const auto bound =
        static_cast<float>(1.0 / std::sqrt(static_cast<double>(fan_in)));
    for (const char* part : {".weight", ".bias"}) {
      INFO(layer << part);
      const torch::Tensor value = d->named_parameters()[layer + part];
      std::vector<float> drawn(static_cast<std::size_t>(value.numel()));
      random.fill_uniform(drawn, -bound, bound);
      CHECK(value.flatten().equal(torch::tensor(drawn)));
    }
  };
  expect("fc1", 784);
  expect("fc2", 512);
  expect("fc3", 512);
}

TEST_CASE("DCGAN and embeddings start with laws of their own", "[initialise]") {
  const auto g = generator({"dcgan", {3, 32, 32, 1000}}, Condition::kAcgan)
                     ->named_parameters();
  const auto moments = [](const torch::Tensor& x, double mean, double std) {
    CHECK(x.mean().item<double>() == Approx(mean).margin(0.1 * std));
    CHECK(x.std().item<double>() == Approx(std).epsilon(0.2));
  };
  moments(g["deconv1.weight"], 0.0, 0.02);
  moments(g["norm1.weight"], 1.0, 0.02);
  CHECK(g["norm1.bias"].abs().max().item<float>() == 0.0F);
  moments(g["embedding.weight"], 0.0, 1.0);
  const auto d =
      discriminator({"dcgan", kCifar}, Condition::kNone)->named_parameters();
  moments(d["fc.weight"], 0.0, 0.02);
  CHECK(d["fc.bias"].abs().max().item<float>() == 0.0F);
}

TEST_CASE("initialise also resets the running statistics", "[initialise]") {
  const auto g = generator({"dcgan", kCifar}, Condition::kNone);
  (void)g->forward(latents(2), {});
  REQUIRE(g->named_buffers()["norm1.num_batches_tracked"].item<int>() == 1);
  Random random(1, Purpose::kGeneratorInit);
  initialise(*g, random);
  const auto fresh = generator({"dcgan", kCifar}, Condition::kNone);
  for (const auto& buffer : g->named_buffers()) {
    INFO(buffer.key());
    CHECK(buffer.value().equal(fresh->named_buffers()[buffer.key()]));
  }
}

}  // namespace
}  // namespace mdgan::test
