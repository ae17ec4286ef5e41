// Models by name: their schemas, and what is refused.
#include "common/models/registry.h"

#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/models.h"

namespace mdgan::test {
namespace {

std::string text(const std::vector<std::string>& lines) {
  std::string joined;
  for (const std::string& line : lines) joined += line + "\n";
  return joined;
}

TEST_CASE("the schema lists names, types and dimensions in order",
          "[registry]") {
  CHECK(schema_text(discriminator({"mlp", kMnist}, Condition::kProjection)
                        ->named_parameters()) ==
        text({"fc1.weight float32 512x784", "fc1.bias float32 512",
              "fc2.weight float32 512x512", "fc2.bias float32 512",
              "fc3.weight float32 1x512", "fc3.bias float32 1",
              "embedding.weight float32 10x512"}));
}

TEST_CASE("what no model is for is refused with a way out", "[registry]") {
  const auto refusal = [](const std::string& model, const ImageShape& image,
                          Condition condition) {
    const auto g = make_generator(model, image, condition, kLatent);
    const auto d = make_discriminator(model, image, condition);
    REQUIRE_FALSE(g.ok());
    REQUIRE_FALSE(d.ok());
    CHECK(g.error().code == ExitCode::kConfiguration);
    CHECK(d.error().code == ExitCode::kConfiguration);
    CHECK(g.error().message == d.error().message);
    return g.error().message;
  };
  const auto contains = [](const std::string& message, const char* part) {
    INFO(message);
    CHECK(message.find(part) != std::string::npos);
  };
  const std::string size = refusal("dcgan", kMnist, Condition::kNone);
  contains(size, "model 'dcgan' is for 32x32, 64x64 and 128x128 pixels");
  contains(size, "1x28x28");
  contains(size, "use 'mlp', 'mnist-cnn'");
  contains(refusal("resnet", {3, 128, 128, 0}, Condition::kNone), "'dcgan'");
  contains(refusal("resnet", {3, 32, 64, 0}, Condition::kNone), "3x32x64");
  contains(refusal("cifar10-cnn", kMnist, Condition::kNone), "multiples of 8");
  contains(refusal("mnist-cnn", {1, 28, 30, 0}, Condition::kNone), "'mlp'");
  contains(refusal("mlp", {3, 1024, 1024, 0}, Condition::kNone),
           "no model is for them");
  contains(refusal("vgg", kMnist, Condition::kNone), "'mlp', 'mnist-cnn'");
  contains(refusal("mlp", {1, 0, 28, 0}, Condition::kNone), "no values");
  contains(refusal("mlp", {1, 28, 28, 0}, Condition::kAcgan),
           "condition 'acgan' needs labels");
  contains(refusal("dirac", {1, 1, 1, 2}, Condition::kProjection),
           "model 'dirac' takes no labels");
  contains(refusal("dirac", kMnist, Condition::kNone), "a single value");
  CHECK_FALSE(make_generator("mlp", kMnist, Condition::kNone, 0).ok());
}

TEST_CASE("a model that memory cannot hold is refused in one line",
          "[registry]") {
  const auto made = make_generator("mlp", kMnist, Condition::kNone,
                                   std::numeric_limits<std::uint32_t>::max());
  REQUIRE_FALSE(made);
  CHECK(made.error().code == ExitCode::kBug);
  INFO(made.error().message);
  CHECK(made.error().message.find("'mlp'") != std::string::npos);
  CHECK(made.error().message.find('\n') == std::string::npos);
}

TEST_CASE("every name of the list makes a model", "[registry]") {
  REQUIRE(model_names().size() == 7);
  for (const std::string_view name : model_names()) {
    INFO(name);
    const ImageShape image = name == "dirac" ? ImageShape{1, 1, 1, 0} : kCifar;
    CHECK(make_generator(name, image, Condition::kNone, kLatent).ok());
    CHECK(make_discriminator(name, image, Condition::kNone).ok());
  }
}

}  // namespace
}  // namespace mdgan::test
