// Convolutions of models from TorchScript files: computed as ours are.
#include <spdlog/fmt/fmt.h>
#include <torch/script.h>

#include <cmath>
#include <string>
#include <vector>

#include "common/models/initialise.h"
#include "common/models/registry.h"
#include "tests/support/derivatives.h"
#include "tests/support/script_models.h"
#include "tests/support/trainer_run.h"

namespace mdgan::test {
namespace {

namespace jit = torch::jit;

const ImageShape kPicture{1, 32, 32, 3};

// Conv2d, or ConvTranspose2d, of kernels of 4 x 4; `more`: its other arguments.
jit::Module convolution(std::int64_t in, std::int64_t out, bool transposed,
                        bool has_bias, const std::string& more) {
  jit::Module layer(fmt::format("__torch__.torch.nn.modules.conv.{}",
                                transposed ? "ConvTranspose2d" : "Conv2d"));
  const std::int64_t first = transposed ? in : out;
  const std::int64_t second = transposed ? out : in;
  layer.register_parameter(
      "weight", torch::full({first, second, 4, 4}, 0.01).requires_grad_(true),
      /*is_buffer=*/false);
  if (has_bias)
    layer.register_parameter("bias",
                             torch::full({out}, 0.02).requires_grad_(true),
                             /*is_buffer=*/false);
  layer.define(fmt::format(R"(
def forward(self, x):
    return torch.{}(x, self.weight, {}, {})
)",
                           transposed ? "conv_transpose2d" : "conv2d",
                           has_bias ? "self.bias" : "None", more));
  return layer;
}

jit::Module norm(std::int64_t channels) {
  jit::Module layer("__torch__.torch.nn.modules.batchnorm.BatchNorm2d");
  const auto trained = torch::requires_grad();
  layer.register_parameter("weight", torch::ones({channels}, trained), false);
  layer.register_parameter("bias", torch::zeros({channels}, trained), false);
  layer.register_buffer("running_mean", torch::zeros({channels}));
  layer.register_buffer("running_var", torch::ones({channels}));
  layer.register_attribute("training", c10::BoolType::get(), true);
  layer.define(R"(
def forward(self, x):
    return torch.batch_norm(x, self.weight, self.bias, self.running_mean, self.running_var, self.training, 0.1, 1e-05, True)
)");
  return layer;
}

// The networks of "dcgan" with ACGAN for kPicture, layer by layer.
jit::Module dcgan_generator() {
  jit::Module g("__torch__.Generator");
  g.register_module("deconv1", convolution(6, 256, true, false, "[1, 1]"));
  std::int64_t out = 256;
  for (const int i : {1, 2, 3}) {
    g.register_module(fmt::format("norm{}", i), norm(out));
    const std::int64_t next = i == 3 ? 1 : out / 2;
    g.register_module(fmt::format("deconv{}", i + 1),
                      convolution(out, next, true, false, "[2, 2], [1, 1]"));
    out = next;
  }
  g.register_module("embedding", embedding(3, 6));
  g.define(R"(
def forward(self, latents, labels):
    x = latents * self.embedding.forward(labels)
    x = self.deconv1.forward(x.unsqueeze(2).unsqueeze(3))
    x = self.deconv2.forward(torch.relu(self.norm1.forward(x)))
    x = self.deconv3.forward(torch.relu(self.norm2.forward(x)))
    return torch.tanh(self.deconv4.forward(torch.relu(self.norm3.forward(x))))
)");
  return g;
}

// `more`: of the second convolution; `second`: what is done to its images.
jit::Module dcgan_discriminator(
    const std::string& more = "[2, 2], [1, 1]",
    const std::string& second = "torch.leaky_relu(x, 0.2)") {
  jit::Module d("__torch__.Discriminator");
  std::int64_t in = 1;
  std::int64_t out = 64;
  for (const int i : {1, 2, 3}) {
    d.register_module(
        fmt::format("conv{}", i),
        convolution(in, out, false, true, i == 2 ? more : "[2, 2], [1, 1]"));
    in = out;
    out *= 2;
  }
  d.register_module("fc", linear_layer(std::int64_t{256} * 16, 4));
  d.define(fmt::format(R"(
def forward(self, images, labels):
    x = torch.leaky_relu(self.conv1.forward(images), 0.2)
    x = self.conv2.forward(x)
    x = self.conv3.forward({})
    out = self.fc.forward(torch.leaky_relu(x, 0.2).flatten(1))
    return out[:, 0], out[:, 1:]
)",
                       second));
  return d;
}

TrainerRun run_of_pictures(const std::string& model) {
  TrainerRun run;
  run.model = model;
  run.image = kPicture;
  run.condition = Condition::kAcgan;
  return run;
}

std::vector<double> losses_of_pictures(const std::string& model) {
  const TrainerRun run = run_of_pictures(model);
  const auto server = make_generator_trainer(run.generator());
  const auto peer = make_discriminator_trainer(run.discriminator(), 0);
  std::vector<double> losses;
  for (std::uint64_t i = 1; i <= 3; ++i)
    for (const PeerFeedback& answer :
         train_round(*server, {peer.get()}, run.k, Round{i})) {
      losses.push_back(answer.discriminator_loss);
      losses.push_back(answer.generator_loss);
    }
  return losses;
}

// Whether its convolutions are a stack of ours.
bool is_stack(const jit::Module& discriminator) {
  const auto made =
      make_discriminator(saved(dcgan_generator(), discriminator, "dcgan"),
                         kPicture, Condition::kAcgan);
  if (!made) FAIL(made.error().message);
  return (*made)->convolutions() != nullptr;
}

}  // namespace

TEST_CASE("a script of convolutions is its twin, bit for bit", "[script]") {
  CHECK(is_stack(dcgan_discriminator()));
  const std::string script =
      saved(dcgan_generator(), dcgan_discriminator(), "dcgan");
  CHECK(losses_of_pictures(script) == losses_of_pictures("dcgan"));
}

TEST_CASE("what is no stack of convolutions is executed, and trains as well",
          "[script]") {
  for (const auto& other :
       {dcgan_discriminator("[2, 2], [1, 1]", "torch.leaky_relu(x, 0.1)"),
        dcgan_discriminator("[2, 2], [1, 1]", "torch.relu(x)"),
        dcgan_discriminator("[2, 2], [1, 1]", "x"),
        dcgan_discriminator("[2, 2], [4, 4], [3, 3]")}) {
    CHECK_FALSE(is_stack(other));
    const auto losses =
        losses_of_pictures(saved(dcgan_generator(), other, "dcgan"));
    for (const double loss : losses) CHECK(std::isfinite(loss));
  }
}

TEST_CASE("convolutions that ours cannot compute are LibTorch's", "[script]") {
  const auto same = [](const std::string& call, std::int64_t width = 3,
                       const std::string& kind = "float") {
    INFO(call << " " << width << " " << kind);
    jit::Module d("__torch__.Discriminator");
    d.register_parameter("weight",
                         torch::randn({2, 1, 3, width}).requires_grad_(true),
                         /*is_buffer=*/false);
    d.define(fmt::format(R"(
def forward(self, images, labels):
    x = torch.conv2d(images.{0}(), self.weight.{0}(), None, {1})
    return (x * self.weight.{0}().sum()).tanh().flatten(1).sum(1).float()
)",
                         kind, call));
    const auto made = make_discriminator(saved(dcgan_generator(), d, ""),
                                         kPicture, Condition::kNone);
    if (!made) FAIL(made.error().message);
    const torch::Tensor x = torch::randn({3, 1, 32, 32});
    const torch::Tensor y = torch::zeros({3}, torch::kInt64);
    const torch::Tensor expected = d.forward({x, y}).toTensor();
    CHECK(torch::allclose((*made)->forward(x, y).logits, expected));
  };
  same("[2, 2], [1, 1]");
  // Further apart in one direction; dilated; a word for the padding.
  same("[2, 1], [1, 1]");
  same("[1, 1], [0, 0], [2, 2]");
  same("1, \"same\"");
  same("[2, 2], [1, 1]", /*width=*/5);
  same("[2, 2], [1, 1]", 3, "double");
}

TEST_CASE("kernels that are not square make no stack", "[script]") {
  jit::Module d("__torch__.Discriminator");
  jit::Module layer = convolution(1, 2, false, true, "[2, 2], [1, 1]");
  layer.setattr("weight", torch::full({2, 1, 4, 6}, 0.01).requires_grad_(true));
  d.register_module("conv1", layer);
  d.register_module("fc", linear_layer(2 * 16 * 15, 4));
  d.define(R"(
def forward(self, images, labels):
    x = torch.leaky_relu(self.conv1.forward(images), 0.2)
    out = self.fc.forward(x.flatten(1))
    return out[:, 0], out[:, 1:]
)");
  CHECK_FALSE(is_stack(d));
}

}  // namespace mdgan::test
