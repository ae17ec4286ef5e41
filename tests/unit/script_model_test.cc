// Models from TorchScript files: beside their twins.
#include "common/models/script_model.h"

#include <torch/script.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/losses/adversarial.h"
#include "common/models/initialise.h"
#include "common/models/model_summary.h"
#include "common/models/registry.h"
#include "common/models/script_summary.h"
#include "tests/support/contains.h"
#include "tests/support/derivatives.h"
#include "tests/support/script_models.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/trainer_run.h"

namespace mdgan::test {
namespace {

namespace jit = torch::jit;

TrainerRun run_of(const std::string& model) {
  TrainerRun run;
  run.model = model;
  run.image = kImage;
  run.condition = Condition::kAcgan;
  return run;
}

// What a training takes from a discriminator: its loss with both penalties,
// that loss's gradients, and the feedback.
std::vector<torch::Tensor> judgement_of(Discriminator& model,
                                        const torch::Tensor& images,
                                        const torch::Tensor& labels) {
  const torch::Tensor x = images.clone().requires_grad_(true);
  const DiscriminatorOutput out = model.forward(x, labels);
  const torch::Tensor loss =
      discriminator_loss(Loss::kNonSaturating, out.logits, -out.logits) +
      class_loss(out.class_logits, labels) +
      zero_centred_penalty(out.logits, x, 10);
  std::vector<torch::Tensor> taken{loss.detach()};
  for (const torch::Tensor& gradient :
       torch::autograd::grad({loss}, model.parameters()))
    taken.push_back(gradient);
  const torch::Tensor judged =
      generator_loss(Loss::kNonSaturating, model.forward(x, labels).logits);
  taken.push_back(torch::autograd::grad({judged}, {x}).front());
  return taken;
}

using Widths = std::vector<std::size_t>;

Widths widths_of_generator(const std::string& model) {
  const auto made = make_generator(model, kImage, Condition::kAcgan, kLatents);
  if (!made) FAIL(made.error().message);
  return (*made)->dense_widths();
}

Widths widths_of_discriminator(const std::string& model, Condition condition) {
  const auto made = make_discriminator(model, kImage, condition);
  if (!made) FAIL(made.error().message);
  return (*made)->dense_widths();
}

std::vector<double> losses_of(const TrainerRun& run, std::uint64_t rounds) {
  const auto server = make_generator_trainer(run.generator());
  const auto peer = make_discriminator_trainer(run.discriminator(), 0);
  std::vector<double> losses;
  for (std::uint64_t i = 1; i <= rounds; ++i)
    for (const PeerFeedback& answer :
         train_round(*server, {peer.get()}, run.k, Round{i})) {
      losses.push_back(answer.discriminator_loss);
      losses.push_back(answer.generator_loss);
    }
  return losses;
}

}  // namespace

TEST_CASE("a script's first and second derivatives are its twin's, every time",
          "[script]") {
  const auto script =
      make_discriminator(mlp_script(), kImage, Condition::kAcgan);
  if (!script) FAIL(script.error().message);
  const auto twin = make_discriminator("mlp", kImage, Condition::kAcgan);
  REQUIRE(twin);
  Random first(8, Purpose::kDiscriminatorInit);
  Random second(8, Purpose::kDiscriminatorInit);
  initialise(**script, first);
  initialise(**twin, second);
  torch::manual_seed(1);
  // The graph executor profiles the first calls, and optimises later ones.
  for (int call = 1; call <= 10; ++call) {
    INFO("call " << call);
    const std::int64_t n = 4 + call % 2;
    const torch::Tensor x = torch::randn({n, 1, 4, 4});
    const torch::Tensor y = torch::arange(n).remainder(3);
    check_alike(judgement_of(**script, x, y), judgement_of(**twin, x, y));
  }
}

TEST_CASE("a script draws its first weights as its twin, or has its own",
          "[script]") {
  const auto parameters_of = [](const std::string& model) {
    auto made = make_generator(model, kImage, Condition::kAcgan, kLatents);
    if (!made) FAIL(made.error().message);
    Random random(4, Purpose::kGeneratorInit);
    initialise(**made, random);
    torch::NoGradGuard no_grad;
    std::vector<torch::Tensor> drawn;
    for (const torch::Tensor& parameter : (*made)->parameters())
      drawn.push_back(parameter.clone());
    // What training made of them is gone when it begins anew.
    for (torch::Tensor& parameter : (*made)->parameters()) parameter.zero_();
    Random again(4, Purpose::kGeneratorInit);
    initialise(**made, again);
    for (std::size_t i = 0; i < drawn.size(); ++i)
      CHECK((*made)->parameters()[i].equal(drawn[i]));
    return drawn;
  };
  const auto twin = parameters_of("mlp");
  const auto script = parameters_of(mlp_script());
  REQUIRE(script.size() == twin.size());
  for (std::size_t i = 0; i < twin.size(); ++i) CHECK(script[i].equal(twin[i]));
  const auto own = parameters_of(mlp_script(""));
  CHECK(own[0].equal(torch::full({kHidden, kLatents}, 0.01)));
  CHECK(own[6].equal(torch::ones({3, kLatents})));
}

TEST_CASE("a script trains to its twin's losses", "[script]") {
  const auto twin = losses_of(run_of("mlp"), 20);
  // The same functions, which are not recognised.
  const std::string script = saved(mlp_generator(R"(
def forward(self, latents, labels):
    x = latents * self.embedding.forward(labels)
    x = torch.leaky_relu(self.fc1.forward(x), 0.2)
    x = torch.leaky_relu(self.fc2.forward(x), 0.2) + 0.0
    return torch.tanh(self.fc3.forward(x)).view([-1, 1, 4, 4])
)"),
                                   mlp_discriminator(R"(
def forward(self, images, labels):
    x = torch.leaky_relu(self.fc1.forward(images.flatten(1)), 0.2)
    x = torch.leaky_relu(self.fc2.forward(x), 0.2) + 0.0
    out = self.fc3.forward(x)
    return out[:, 0], out[:, 1:]
)"));
  CHECK(widths_of_generator(script).empty());
  CHECK(widths_of_discriminator(script, Condition::kAcgan).empty());
  const auto losses = losses_of(run_of(script), 20);
  REQUIRE(losses.size() == twin.size());
  for (std::size_t i = 0; i < twin.size(); ++i)
    CHECK(losses[i] == Approx(twin[i]).margin(1e-3));
}

TEST_CASE("a script of dense layers is its twin, bit for bit", "[script]") {
  const std::string script = mlp_script();
  CHECK(widths_of_generator(script) == Widths{6, 512, 512, 16});
  CHECK(widths_of_discriminator(script, Condition::kAcgan) ==
        Widths{16, 512, 512});
  CHECK(losses_of(run_of(script), 20) == losses_of(run_of("mlp"), 20));
}

constexpr const char* kTwoLayers = R"(
    x = torch.leaky_relu(self.fc1.forward(images.view([-1, 16])), 0.2)
    out = self.fc2.forward(x)
)";

// A discriminator of two layers, 16 to 5 to 1, registered in this order.
jit::Module two_layers(const std::string& lines, bool last_first = false) {
  jit::Module d("__torch__.Discriminator");
  if (last_first) d.register_module("fc2", linear_layer(5, 1));
  d.register_module("fc1", linear_layer(16, 5));
  if (!last_first) d.register_module("fc2", linear_layer(5, 1));
  d.define("def forward(self, images, labels):" + lines);
  return d;
}

Widths widths_of(const jit::Module& discriminator,
                 Condition condition = Condition::kNone) {
  return widths_of_discriminator(saved(mlp_generator(kDraw), discriminator),
                                 condition);
}

TEST_CASE("dense layers are recognised however their end is written",
          "[script]") {
  const auto widths = [](const std::string& end) {
    return widths_of(two_layers(kTwoLayers + ("    return " + end + "\n")));
  };
  for (const char* const end :
       {"out[:, 0]", "out.squeeze(1)", "out.view([-1])", "out.flatten()"}) {
    INFO(end);
    CHECK(widths(end) == Widths{16, 5});
  }
  CHECK(widths("-out[:, 0]").empty());
}

TEST_CASE("what the kernels would not compute is executed as it is",
          "[script]") {
  const auto judged_by = [](const std::string& x1, const std::string& x2,
                            const std::string& logits = "out[:, 0]") {
    const std::string lines = "\n    x = " + x1 + "\n    x = " + x2 +
                              "\n    out = self.fc3.forward(x)\n    return " +
                              logits + ", out[:, 1:]\n";
    return widths_of(
        mlp_discriminator("def forward(self, images, labels):" + lines),
        Condition::kAcgan);
  };
  const std::string first =
      "torch.leaky_relu(self.fc1.forward(images.flatten(1)), 0.2)";
  const std::string second = "torch.leaky_relu(self.fc2.forward(x), 0.2)";
  CHECK(judged_by(first, second) == Widths{16, 512, 512});
  // Another slope; no activation; a layer twice; a way around a layer.
  CHECK(judged_by("torch.leaky_relu(self.fc1.forward(images.flatten(1)), 0.1)",
                  second)
            .empty());
  CHECK(judged_by(first, "self.fc2.forward(x)").empty());
  CHECK(judged_by(first,
                  "torch.leaky_relu(self.fc2.forward(torch.leaky_relu("
                  "self.fc2.forward(x), 0.2)), 0.2)")
            .empty());
  CHECK(judged_by(first, "torch.leaky_relu(self.fc2.forward(x) + x, 0.2)")
            .empty());
  // The values of an image in another order; not the first output.
  CHECK(judged_by("torch.leaky_relu(self.fc1.forward("
                  "images.transpose(2, 3).flatten(1)), 0.2)",
                  second)
            .empty());
  CHECK(judged_by(first, second, "out[:, 1]").empty());
  // The parameters in another order than the layers; and a run with projection
  // asks for more than one that ignores its labels.
  const std::string lines = kTwoLayers + std::string("    return out[:, 0]\n");
  CHECK(widths_of(two_layers(lines)) == Widths{16, 5});
  CHECK(widths_of(two_layers(lines, /*last_first=*/true)).empty());
  CHECK(widths_of(two_layers(lines), Condition::kProjection).empty());
}

TEST_CASE("a resumed script continues bit for bit", "[script]") {
  const TrainerRun run = run_of(mlp_script());
  const auto server = make_generator_trainer(run.generator());
  const auto peer = make_discriminator_trainer(run.discriminator(), 0);
  train_round(*server, {peer.get()}, run.k, Round{1});
  const auto resumed = make_generator_trainer(run.generator());
  const auto resumed_peer = make_discriminator_trainer(run.discriminator(), 0);
  REQUIRE(resumed->load(server->snapshot()).ok());
  REQUIRE(resumed_peer->load(peer->snapshot(true)).ok());
  for (std::uint64_t i = 2; i <= 4; ++i) {
    train_round(*server, {peer.get()}, run.k, Round{i});
    train_round(*resumed, {resumed_peer.get()}, run.k, Round{i});
  }
  CHECK(same(resumed->snapshot(), server->snapshot()));
  CHECK(same(resumed_peer->snapshot(true), peer->snapshot(true)));
  CHECK(same(resumed->sample(3, {}, 1), server->sample(3, {}, 1)));
}

TEST_CASE("inspect tells a script's networks and what can be done with them",
          "[script]") {
  const TemporaryDirectory folder;
  jit::Module pair("__torch__.Model");
  pair.register_module("generator", mlp_generator(kDraw));
  pair.register_module("discriminator", mlp_discriminator(kJudge));
  pair.save((folder / "m.pt").string());
  const auto text =
      describe_script(folder / "m.pt", {kImage, Condition::kAcgan, kLatents});
  if (!text) FAIL(text.error().message);
  INFO(*text);
  CHECK(contains(*text, {"script:", "those of the file", "can be used",
                         "generator: 274,466 parameters", "embedding.weight",
                         "[512, 16]"}));
  CHECK_FALSE(describe_script(folder / "m.pt", {kImage, Condition::kNone, 6}));
}

}  // namespace mdgan::test
