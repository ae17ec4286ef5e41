// TorchScript files that are no models, and what is said of them.
#include <torch/script.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/models/model_summary.h"
#include "common/models/registry.h"
#include "common/models/script_file.h"
#include "common/models/script_model.h"
#include "tests/support/contains.h"
#include "tests/support/script_models.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/text_file.h"
#include "tests/support/trainer_run.h"

namespace mdgan::test {
namespace {

namespace jit = torch::jit;

std::string refusal_of_generator(const std::string& forward) {
  const auto made =
      make_generator(saved(mlp_generator(forward), mlp_discriminator(kJudge)),
                     kImage, Condition::kAcgan, kLatents);
  REQUIRE_FALSE(made);
  CHECK(made.error().code == ExitCode::kConfiguration);
  return made.error().message;
}

std::string refusal_of(const jit::Module& discriminator,
                       Condition condition = Condition::kAcgan) {
  const auto made = make_discriminator(
      saved(mlp_generator(kDraw), discriminator), kImage, condition);
  REQUIRE_FALSE(made);
  CHECK(made.error().code == ExitCode::kConfiguration);
  return made.error().message;
}

std::string refusal_of_discriminator(const std::string& forward,
                                     Condition condition = Condition::kAcgan) {
  return refusal_of(mlp_discriminator(forward), condition);
}

}  // namespace

TEST_CASE("a script that was not given is refused by its name", "[script]") {
  const std::string name = "script:" + std::string(64, 'e');
  const auto made = make_discriminator(name, kImage, Condition::kNone);
  REQUIRE_FALSE(made);
  CHECK(made.error().code == ExitCode::kConfiguration);
  CHECK(contains(made.error().message, {name, "--model-file"}));
  const std::string other = mlp_script();
  const auto again = make_discriminator(name, kImage, Condition::kNone);
  REQUIRE_FALSE(again);
  CHECK(contains(again.error().message, {name, other}));
}

TEST_CASE("a file that is no pair of networks is refused in words",
          "[script]") {
  const auto refusal = [](const std::string& name) {
    const auto made = make_discriminator(name, kImage, Condition::kAcgan);
    REQUIRE_FALSE(made);
    CHECK(made.error().code == ExitCode::kConfiguration);
    CHECK(made.error().message.find('\n') == std::string::npos);
    return made.error().message;
  };
  jit::Module pair("__torch__.Model");
  pair.register_module("generator", mlp_generator(kDraw));
  CHECK(contains(refusal(save(pair)), {"no submodule discriminator"}));
  CHECK(contains(refusal(mlp_script("kaiming")), {"initial_law", "dcgan"}));
  const TemporaryDirectory folder;
  write_text(folder / "no.pt", "PK nothing of the kind");
  const auto name = add_script(folder / "no.pt");
  REQUIRE(name);
  CHECK(contains(refusal(*name), {"no.pt"}));
  CHECK_FALSE(add_script(folder / "none.pt"));
}

TEST_CASE("a generator is refused in words", "[script]") {
  CHECK(contains(refusal_of_generator(R"(
def forward(self, latents):
    return latents
)"),
                 {"forward(self, latents, labels)"}));
  CHECK(contains(refusal_of_generator(R"(
def forward(self, latents, labels):
    return torch.tanh(self.fc3.forward(self.fc2.forward(self.fc1.forward(latents)))).view([-1, 16])
)"),
                 {"Float [2, 16]", "images", "Float [2, 1, 4, 4]"}));
  CHECK(contains(refusal_of_generator(R"(
def forward(self, latents, labels):
    return torch.tanh(self.fc1.forward(labels.float()))
)"),
                 {"cannot be used"}));
  CHECK(contains(refusal_of_generator(R"(
def forward(self, latents, labels):
    x = self.fc3.forward(self.fc2.forward(self.fc1.forward(latents)))
    return (x + torch.rand_like(x)).view([-1, 1, 4, 4])
)"),
                 {"random"}));
  CHECK(contains(refusal_of_generator(R"(
def forward(self, latents, labels):
    x = self.fc3.forward(self.fc2.forward(self.fc1.forward(latents)))
    return x.detach().view([-1, 1, 4, 4])
)"),
                 {"no gradient"}));
  CHECK(contains(refusal_of_generator(R"(
def forward(self, latents, labels):
    x = self.fc3.forward(self.fc2.forward(self.fc1.forward(latents[0:2])))
    return x.view([-1, 1, 4, 4])
)"),
                 {"Float [2, 1, 4, 4]", "Float [3, 1, 4, 4]"}));
}

TEST_CASE("a discriminator is refused in words", "[script]") {
  CHECK(contains(refusal_of_discriminator(R"(
def forward(self, images, labels):
    return self.fc3.forward(self.fc2.forward(self.fc1.forward(images.flatten(1))))[:, 0]
)"),
                 {"a tuple was expected", "Float [2, 3]"}));
  CHECK(contains(refusal_of_discriminator(kJudge, Condition::kNone),
                 {"Tuple", "logits were expected, Float [2]"}));
  CHECK(contains(refusal_of_discriminator(R"(
def forward(self, images, labels):
    x = self.fc3.forward(self.fc2.forward(self.fc1.forward(images.flatten(1))))
    return x - x.mean(0, True)
)",
                                          Condition::kNone),
                 {"Float [2, 4]"}));
  CHECK(contains(refusal_of_discriminator(R"(
def forward(self, images, labels):
    x = self.fc3.forward(self.fc2.forward(self.fc1.forward(images.flatten(1))))[:, 0]
    return x - x.mean()
)",
                                          Condition::kNone),
                 {"compares the images of a batch"}));
  jit::Module counts = mlp_discriminator(kJudge);
  counts.register_buffer("seen", torch::zeros({1}));
  CHECK(contains(refusal_of(counts), {"buffer seen", "swap"}));
  jit::Module steps("__torch__.Steps");
  steps.register_module("fc", linear_layer(16, 1));
  steps.register_attribute("step", c10::IntType::get(), 0);
  steps.define(R"(
def forward(self, images, labels):
    self.step = self.step + 1
    return self.fc.forward(images.flatten(1))[:, 0]
)");
  CHECK(contains(refusal_of(steps, Condition::kNone), {"attribute step"}));
  jit::Module fixed("__torch__.Fixed");
  fixed.register_module("fc", linear_layer(16, 1));
  fixed.register_parameter("scale", torch::ones({1}), /*is_buffer=*/false);
  fixed.define(R"(
def forward(self, images, labels):
    return self.fc.forward(images.flatten(1))[:, 0] * self.scale
)");
  CHECK(contains(refusal_of(fixed, Condition::kNone), {"scale", "gradient"}));
}

TEST_CASE("penalties are refused where a script has no second derivative",
          "[script]") {
  jit::Module d("__torch__.Margin");
  d.register_module("fc", linear_layer(16, 3));
  d.define(R"(
def forward(self, images, labels):
    x = self.fc.forward(images.flatten(1))
    real = torch.zeros([images.size(0)], dtype=4)
    return torch.multi_margin_loss(x, real, 1, 1.0, None, 0)
)");
  const std::string name = saved(mlp_generator(kDraw), d);
  TrainerRun run;
  run.model = name;
  run.image = kImage;
  TrainingSpec spec = run.discriminator();
  spec.condition = Condition::kNone;
  spec.latent = kLatents;
  if (const auto fits = summarise_model(spec); !fits)
    FAIL(fits.error().message);
  spec.r1_gamma = 1;
  const auto refused = summarise_model(spec);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ExitCode::kConfiguration);
  CHECK(contains(refused.error().message, {"multi_margin_loss", "r1"}));
}

}  // namespace mdgan::test
