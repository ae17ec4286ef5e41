#include "common/evaluate/classifier.h"

#include <torch/script.h>

#include "common/base/random.h"
#include "common/train/generator/sampler.h"
#include "server/evaluate/evaluator.h"
#include "server/evaluate/utility.h"
#include "tests/support/catch.h"
#include "tests/support/process_run.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/text_file.h"
#include "tests/support/trainer_run.h"

namespace mdgan::test {
namespace {

namespace fs = std::filesystem;

// Bars whose place is the class, with noise.
Dataset bars(std::uint32_t count, std::uint64_t seed) {
  Dataset data;
  data.shape = {1, 8, 8, 4};
  Random random(seed, Purpose::kSimulation);
  for (std::uint32_t i = 0; i < count; ++i) {
    data.labels.push_back(static_cast<std::int32_t>(i % 4));
    for (std::uint32_t y = 0; y < 8; ++y)
      for (std::uint32_t x = 0; x < 8; ++x)
        data.pixels.push_back(static_cast<std::uint8_t>(
            random.below(64) + (y / 2 == i % 4 ? 150 : 0)));
  }
  return data;
}

EvaluationData two_parts() { return {bars(200, 1), bars(40, 2)}; }

Blob images_of(const Dataset& data) {
  return copy_blob(
      {protocol::DType::kUint8,
       {data.size(), data.shape.channels, data.shape.height, data.shape.width}},
      std::as_bytes(std::span(data.pixels)));
}

std::unique_ptr<Classifier> obtain(const EvaluationData& data,
                                   const fs::path& cache) {
  ClassifierOptions options;
  options.cache = cache;
  options.max_steps = 60;
  auto made = Classifier::obtain(data, options);
  INFO((made ? "" : made.error().message));
  REQUIRE(made);
  return std::move(*made);
}

fs::path file_in(const fs::path& cache) {
  fs::path file;
  for (const auto& entry : fs::directory_iterator(cache))
    if (entry.path().extension() == ".safetensors") file = entry.path();
  return file;
}

TEST_CASE("a classifier learns, and is taken from the cache the next time",
          "[classifier]") {
  const TemporaryDirectory folder;
  const EvaluationData data = two_parts();
  const auto first = obtain(data, folder / "cache");
  CHECK(first->accuracy() > 0.9);
  const auto written = fs::last_write_time(file_in(folder / "cache"));
  const Blob images = images_of(data.test);
  const Features features = first->extract(images);
  CHECK(features.values.meta.dims == std::vector<std::uint64_t>{40, 128});
  CHECK(features.probabilities.meta.dims == std::vector<std::uint64_t>{40, 4});

  const auto second = obtain(data, folder / "cache");
  CHECK(fs::last_write_time(file_in(folder / "cache")) == written);
  CHECK(second->accuracy() == first->accuracy());
  CHECK(second->name() == first->name());
  CHECK(same(second->extract(images).values, features.values));
  SECTION("training again gives the same one") {
    CHECK(same(obtain(data, {})->extract(images).values, features.values));
  }
  SECTION("other data has another one") {
    EvaluationData other = data;
    other.train.pixels.front() ^= 1;
    const auto third = obtain(other, folder / "cache");
    CHECK(third->name() != first->name());
  }
}

TEST_CASE("a damaged file in the cache is made anew", "[classifier]") {
  const TemporaryDirectory folder;
  const EvaluationData data = two_parts();
  const auto first = obtain(data, folder.path());
  const fs::path file = file_in(folder.path());
  const std::string good = read_text(file);
  SECTION("cut off") { write_text(file, good.substr(0, 1000)); }
  SECTION("empty") { write_text(file, ""); }
  SECTION("of another network") {
    std::string other = good;
    other.replace(other.find("conv1"), 5, "conv9");
    write_text(file, other);
  }
  obtain(data, folder.path());
  CHECK(read_text(file) == good);
  const auto written = fs::last_write_time(file);
  obtain(data, folder.path());
  CHECK(fs::last_write_time(file) == written);
}

TEST_CASE("a cache that cannot be written is done without", "[classifier]") {
  const TemporaryDirectory folder;
  write_text(folder / "file", "");
  const auto made = obtain(two_parts(), folder / "file");
  CHECK(made->accuracy() > 0.9);
}

TEST_CASE("without labels, features must come from a file", "[classifier]") {
  EvaluationData data = two_parts();
  data.train.labels.clear();
  data.train.shape.classes = 0;
  const auto made = Classifier::obtain(data, {});
  REQUIRE_FALSE(made);
  CHECK(made.error().code == ExitCode::kConfiguration);
  CHECK(made.error().message.find("evaluate-features") != std::string::npos);
}

fs::path save_module(const fs::path& file, const std::string& forward) {
  torch::jit::Module module("m");
  module.define(forward);
  module.save(file.string());
  return file;
}

constexpr const char* kMeans = R"(
def forward(self, images, return_features : bool = False):
    means = images.float().mean([2, 3])
    if return_features:
        return means
    return means * 0
)";

TEST_CASE("a TorchScript module gives features of uint8 images",
          "[classifier]") {
  const TemporaryDirectory folder;
  const auto made = load_script(save_module(folder / "m.pt", kMeans), "cpu");
  REQUIRE(made);
  CHECK((*made)->name().starts_with("m.pt, "));
  const Dataset data = bars(60, 3);
  const Features features = (*made)->extract(images_of(data));
  CHECK(features.probabilities.empty());
  REQUIRE(features.values.meta.dims == std::vector<std::uint64_t>{60, 3});
  const std::vector<float> values = floats(features.values);
  float sum = 0;
  for (std::size_t i = 0; i < 64; ++i) sum += data.pixels[i];
  CHECK(values[0] == Approx(sum / 64));
  CHECK(values[2] == values[0]);  // grey is repeated
}

TEST_CASE("a module may give logits too", "[classifier]") {
  const TemporaryDirectory folder;
  const auto made = load_script(save_module(folder / "m.pt", R"(
def forward(self, images):
    means = images.float().mean([2, 3])
    return means, means[:, :2] * 0
)"),
                                "cpu");
  REQUIRE(made);
  const Features features = (*made)->extract(images_of(bars(5, 3)));
  CHECK(floats(features.probabilities) == std::vector<float>(10, 0.5F));
}

TEST_CASE("a file that is no usable module is named", "[classifier]") {
  const TemporaryDirectory folder;
  const auto fails = [](const fs::path& file) {
    const auto made = load_script(file, "cpu");
    REQUIRE_FALSE(made);
    CHECK(made.error().code == ExitCode::kConfiguration);
    CHECK(made.error().message.find(file.string()) != std::string::npos);
  };
  fails(folder / "missing.pt");
  write_text(folder / "text.pt", "not a module");
  fails(folder / "text.pt");
  const auto wrong = load_script(
      save_module(folder / "m.pt", "def forward(self, x):\n  return x\n"),
      "cpu");
  REQUIRE(wrong);
  CHECK_THROWS_AS((*wrong)->extract(images_of(bars(5, 3))), std::runtime_error);
}

// Draws the bars of bars(), in the order of `kinds`: class i's are kinds[i]'s.
class BarSampler final : public Sampler {
 public:
  explicit BarSampler(std::vector<std::uint32_t> kinds)
      : kinds_(std::move(kinds)),
        image_{1, 8, 8, static_cast<std::uint32_t>(kinds_.size())} {}
  const ImageShape& image() const override { return image_; }
  Blob evaluation_batch(std::uint32_t, std::uint32_t first, std::uint32_t count,
                        std::uint64_t) const override {
    std::vector<float> values;
    for (std::uint32_t i = 0; i < count; ++i)
      for (std::uint32_t y = 0; y < 8; ++y)
        values.insert(
            values.end(), 8,
            y / 2 == kinds_[(first + i) % kinds_.size()] ? 0.4F : -0.7F);
    return float_blob({count, 1, 8, 8}, values);
  }
  Blob sample(std::uint32_t, std::span<const std::int32_t>,
              std::uint64_t) const override {
    return {};
  }

 private:
  std::vector<std::uint32_t> kinds_;
  ImageShape image_;
};

TEST_CASE("a classifier learns from generated images alone, class by name",
          "[utility]") {
  EvaluationData data = two_parts();
  data.train.class_names = data.test.class_names = {"a", "b", "c", "d"};
  ClassifierOptions options;
  options.max_steps = 60;
  const auto measure = [&](const BarSampler& sampler,
                           const ClassNames& classes) {
    return measure_utility(sampler, classes, data, options, 1);
  };
  // The run's classes are in another order than the data's, and more.
  const auto good = measure(BarSampler({3, 2, 9, 1, 0}),
                            {"d", "c", "of another site", "b", "a"});
  REQUIRE(good);
  CHECK(good->generated > 0.9);
  CHECK(good->real > 0.9);
  CHECK(good->images == 160);  // 200, of which a fifth are nobody's
  // What it calls by the wrong name teaches nothing.
  const auto bad = measure(BarSampler({1, 2, 3, 0}), {"a", "b", "c", "d"});
  REQUIRE(bad);
  CHECK(bad->generated < 0.1);
  const auto strange = measure(BarSampler({0, 1}), {"x", "y"});
  REQUIRE_FALSE(strange);
  CHECK(strange.error().code == ExitCode::kConfiguration);
}

TEST_CASE("an evaluation repeats, whatever was measured before",
          "[evaluator]") {
  const TemporaryDirectory folder;
  write_bars(folder / "data", 400, 8);
  EvaluatorOptions options;
  options.data = folder / "data";
  options.features = save_module(folder / "m.pt", kMeans);
  options.samples = 30;
  const auto evaluator = Evaluator::create(options);
  REQUIRE(evaluator);
  GeneratorSpec spec;
  spec.model = "mlp";
  spec.image = {1, 8, 8, 10};
  spec.condition = Condition::kAcgan;
  const auto trainer = make_generator_trainer(spec);
  const auto sampler = trainer->sampler();
  const auto first = (*evaluator)->evaluate(*sampler, Round{3}, 1);
  REQUIRE(first);
  CHECK(first->round == 3);
  CHECK(first->samples == 30);
  CHECK(first->real_images == 30);
  CHECK(first->frechet_distance > 0);
  CHECK_FALSE(first->classes);
  const auto other = (*evaluator)->evaluate(*sampler, Round{3}, 2);
  const auto again = (*evaluator)->evaluate(*sampler, Round{3}, 1);
  REQUIRE(other);
  REQUIRE(again);
  CHECK(other->frechet_distance != first->frechet_distance);
  CHECK(again->frechet_distance == first->frechet_distance);
  CHECK(again->kernel_distance_mean == first->kernel_distance_mean);
  CHECK(again->precision == first->precision);

  spec.image = {1, 4, 4, 10};
  const auto small = make_generator_trainer(spec);
  const auto refused = (*evaluator)->evaluate(*small->sampler(), Round{3}, 1);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ExitCode::kConfiguration);
}

TEST_CASE("data without a test part has a tenth held out", "[evaluator]") {
  const TemporaryDirectory folder;
  write_bars(folder / "data", 400, 8);
  const auto data = load_evaluation_data(folder / "data");
  REQUIRE(data);
  CHECK(data->train.size() == 360);
  CHECK(data->test.size() == 40);
  CHECK(data->test.labels.size() == 40);
  const auto again = load_evaluation_data(folder / "data");
  REQUIRE(again);
  CHECK(again->test.pixels == data->test.pixels);
  const Dataset some = pick_images(data->test, 10);
  CHECK(some.size() == 10);
  CHECK(some.pixels == pick_images(data->test, 10).pixels);
  write_bars(folder / "few", 19, 8);
  const auto few = load_evaluation_data(folder / "few");
  REQUIRE_FALSE(few);
  CHECK(few.error().code == ExitCode::kData);
}

}  // namespace
}  // namespace mdgan::test
