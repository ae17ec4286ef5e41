// The networks of "mlp" with ACGAN in TorchScript, for the images of
// TrainerRun.
#pragma once

#include <torch/script.h>

#include <string>

#include "common/models/script_file.h"
#include "protocol/training_spec.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_directory.h"

namespace mdgan::test {

inline constexpr std::int64_t kHidden = 512;
inline const ImageShape kImage{1, 4, 4, 3};  // TrainerRun's
inline constexpr std::int64_t kLatents = 6;

inline torch::jit::Module linear_layer(std::int64_t in, std::int64_t out) {
  torch::jit::Module layer("__torch__.torch.nn.modules.linear.Linear");
  const auto trained = torch::requires_grad();
  layer.register_parameter("weight", torch::full({out, in}, 0.01, trained),
                           /*is_buffer=*/false);
  layer.register_parameter("bias", torch::full({out}, 0.02, trained),
                           /*is_buffer=*/false);
  layer.define(R"(
def forward(self, x):
    return torch.linear(x, self.weight, self.bias)
)");
  return layer;
}

inline torch::jit::Module embedding(std::int64_t rows, std::int64_t columns) {
  torch::jit::Module layer("__torch__.torch.nn.modules.sparse.Embedding");
  layer.register_parameter("weight",
                           torch::ones({rows, columns}, torch::requires_grad()),
                           /*is_buffer=*/false);
  layer.define(R"(
def forward(self, y):
    return torch.embedding(self.weight, y)
)");
  return layer;
}

// The networks of "mlp" with ACGAN, layer by layer.
inline torch::jit::Module mlp_generator(const std::string& forward) {
  torch::jit::Module g("__torch__.Generator");
  g.register_module("fc1", linear_layer(kLatents, kHidden));
  g.register_module("fc2", linear_layer(kHidden, kHidden));
  g.register_module("fc3", linear_layer(kHidden, 16));
  g.register_module("embedding", embedding(3, kLatents));
  g.define(forward);
  return g;
}

inline torch::jit::Module mlp_discriminator(const std::string& forward) {
  torch::jit::Module d("__torch__.Discriminator");
  d.register_module("fc1", linear_layer(16, kHidden));
  d.register_module("fc2", linear_layer(kHidden, kHidden));
  d.register_module("fc3", linear_layer(kHidden, 4));
  d.define(forward);
  return d;
}

inline constexpr const char* kDraw = R"(
def forward(self, latents, labels):
    x = latents * self.embedding.forward(labels)
    x = torch.leaky_relu(self.fc1.forward(x), 0.2)
    x = torch.leaky_relu(self.fc2.forward(x), 0.2)
    return torch.tanh(self.fc3.forward(x)).view([-1, 1, 4, 4])
)";
inline constexpr const char* kJudge = R"(
def forward(self, images, labels):
    x = torch.leaky_relu(self.fc1.forward(images.flatten(1)), 0.2)
    x = torch.leaky_relu(self.fc2.forward(x), 0.2)
    out = self.fc3.forward(x)
    return out[:, 0], out[:, 1:]
)";

inline std::string save(const torch::jit::Module& pair) {
  const TemporaryDirectory folder;
  const auto file = folder / "model.pt";
  pair.save(file.string());
  const auto name = add_script(file);
  REQUIRE(name);
  return *name;
}

inline std::string saved(const torch::jit::Module& generator,
                         const torch::jit::Module& discriminator,
                         const std::string& law = "pytorch") {
  torch::jit::Module pair("__torch__.Model");
  pair.register_module("generator", generator);
  pair.register_module("discriminator", discriminator);
  if (!law.empty())
    pair.register_attribute("initial_law", c10::StringType::get(), law);
  return save(pair);
}

inline std::string mlp_script(const std::string& law = "pytorch") {
  return saved(mlp_generator(kDraw), mlp_discriminator(kJudge), law);
}

}  // namespace mdgan::test
