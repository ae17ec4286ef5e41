// What sites tell of their images, and what follows from all of it.
#include "common/evaluate/site_metrics.h"

#include <cstdint>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "common/base/random.h"
#include "common/evaluate/classifier.h"
#include "common/evaluate/metrics.h"
#include "common/files/safetensors.h"
#include "protocol/limits.h"
#include "server/evaluate/federated_evaluator.h"
#include "tests/support/catch.h"
#include "tests/support/trainer_run.h"

namespace mdgan::test {
namespace {

constexpr ImageShape kImage{1, 8, 8, 4};

// Noise around a bar whose place is the class.
std::shared_ptr<const Dataset> images(std::uint32_t count, std::uint64_t seed,
                                      ImageShape shape = kImage) {
  auto data = std::make_shared<Dataset>();
  data->shape = shape;
  Random random(seed, Purpose::kSimulation);
  for (std::uint32_t i = 0; i < count; ++i) {
    data->labels.push_back(static_cast<std::int32_t>(i % shape.classes));
    for (std::uint64_t v = 0; v < shape.values(); ++v)
      data->pixels.push_back(static_cast<std::uint8_t>(
          random.below(200) + (v / 16 == i % 4 ? 50 : 0)));
  }
  return data;
}

const Classifier& classifier() {
  static const auto made = [] {
    ClassifierOptions options;
    options.max_steps = 60;
    return Classifier::obtain({*images(200, 1), *images(40, 2)}, options);
  }();
  REQUIRE(made);
  return **made;
}

Blob features_of(const Dataset& data) {
  const auto copy = Classifier::read(classifier().file(), "a copy", "cpu");
  REQUIRE(copy);
  return (*copy)->extract(pixels_of(data)).values;
}

SiteQuestion question(const Dataset& generated) {
  const Blob features = features_of(generated);
  const Blob file = classifier().file();
  return {sha256(file.bytes), {features, neighbour_radii(features)}};
}

std::vector<std::uint32_t> numbers(std::uint32_t first, std::uint32_t count) {
  std::vector<std::uint32_t> all(count);
  std::iota(all.begin(), all.end(), first);
  return all;
}

}  // namespace

TEST_CASE("the distance to all sites' images is the central one") {
  // Unequal sites, one of which has a single class.
  const auto real = images(400, 3);
  std::vector<std::vector<std::uint32_t>> sites{
      numbers(0, 30), numbers(30, 170), numbers(200, 200)};
  std::vector<std::uint32_t> one_class;
  std::erase_if(sites[2], [&](std::uint32_t i) {
    return i % 4 == 0 && (one_class.push_back(i), true);
  });
  sites.push_back(one_class);
  const auto generated = images(300, 4);
  const SiteQuestion asked = question(*generated);
  std::vector<MeasuredSite> measured;
  for (const auto& site : sites) {
    const auto measure =
        measure_site(real, site, classifier().file(), "the file", "cpu");
    REQUIRE(measure);
    auto metrics = (*measure)(asked);
    REQUIRE(metrics);
    measured.push_back({"site", std::move(*metrics)});
  }
  const auto evaluator = FederatedEvaluator::create(classifier(), 300, "cpu");
  REQUIRE(evaluator);
  const auto record =
      (*evaluator)->merge(Round{5}, {asked.generated, {}, {}, {}}, measured);
  REQUIRE(record);

  const RealFeatures central(features_of(*real));
  const double distance = central.frechet_distance(asked.generated.values);
  CHECK(distance > 0.5);  // or the comparison would say little
  CHECK(record->frechet_distance == Approx(distance).epsilon(0).margin(1e-6));
  const double recall = central.precision_recall(asked.generated.values).recall;
  CHECK(recall > 0);
  CHECK(record->recall == Approx(recall).epsilon(1e-12));
  CHECK(record->real_images == 400);
  CHECK_FALSE(record->precision.has_value());

  // Without one site: the distance to all others' images.
  std::vector<std::uint32_t> others;
  for (const std::size_t i : {0U, 1U, 3U})
    others.insert(others.end(), sites[i].begin(), sites[i].end());
  const RealFeatures rest(features_of(subset(*real, others)));
  REQUIRE(record->sites.size() == 4);
  CHECK(record->sites[2].frechet_distance_without.value() ==
        Approx(rest.frechet_distance(asked.generated.values))
            .epsilon(0)
            .margin(1e-6));
  // A site's own numbers are those of its images.
  const RealFeatures own(features_of(subset(*real, sites[1])));
  CHECK(record->sites[1].kernel_distance_mean ==
        own.kernel_distance(asked.generated.values).mean);
  CHECK(record->sites[1].recall ==
        own.precision_recall(asked.generated.values).recall);
}

TEST_CASE("the recall of given radii is that of precision and recall") {
  const Blob real = features_of(*images(700, 5));
  const Blob generated = features_of(*images(600, 6));
  const RealFeatures measured(real);
  CHECK(measured.recall(generated, neighbour_radii(generated)) ==
        measured.precision_recall(generated).recall);
}

TEST_CASE("a site measures with its own classifier and no other") {
  const auto measure = measure_site(images(40, 7), numbers(0, 40),
                                    classifier().file(), "the file", "cpu");
  REQUIRE(measure);
  SiteQuestion asked = question(*images(30, 8));
  const auto first = (*measure)(asked);
  REQUIRE(first);
  const auto second = (*measure)(asked);
  REQUIRE(second);
  CHECK(second->recall == first->recall);
  CHECK(second->sums.products == first->sums.products);
  asked.classifier[0] ^= std::byte{1};
  const auto other = (*measure)(asked);
  REQUIRE_FALSE(other.ok());
  CHECK(other.error().message.find("another classifier") != std::string::npos);
}

TEST_CASE("a site refuses what is no classifier of its images") {
  const auto of_colour =
      measure_site(images(40, 9, {3, 8, 8, 4}), numbers(0, 40),
                   classifier().file(), "the file", "cpu");
  REQUIRE_FALSE(of_colour.ok());
  CHECK(of_colour.error().message.find("3x8x8") != std::string::npos);

  const Blob file = classifier().file();
  std::vector<std::byte> bytes(file.bytes.begin(), file.bytes.end());
  const auto refused = [&](const std::vector<std::byte>& content) {
    const auto read = Classifier::read(
        copy_blob({protocol::DType::kUint8, {content.size()}}, content),
        "the file", "cpu");
    INFO((read ? "" : read.error().message));
    CHECK_FALSE(read.ok());
  };
  refused({});
  refused(std::vector<std::byte>(100));
  std::vector<std::byte> cut = bytes;
  cut.resize(cut.size() - 1);
  refused(cut);
  std::vector<std::byte> not_finite = bytes;  // the last weight
  for (std::size_t i = 1; i <= 4; ++i)
    not_finite[not_finite.size() - i] = std::byte{0xff};
  refused(not_finite);
  // Names and sizes of others.
  const std::vector<float> one(1);
  for (const std::string name : {"conv1.weight", "head.weight", "other"}) {
    const Blob small =
        safetensors_file(std::vector<NamedBlob>{{name, float_blob({1}, one)}},
                         {{"accuracy", "1"}});
    refused({small.bytes.begin(), small.bytes.end()});
  }
}

TEST_CASE("what may be sent to a site is bounded") {
  using enum protocol::DType;
  const auto is_one = [&](std::uint64_t n, std::uint64_t f,
                          std::uint64_t radii) {
    return is_site_question({{kFloat32, {n, f}}, {kFloat32, {radii}}});
  };
  CHECK(is_one(10'000, 128, 10'000));
  CHECK(is_one(4, 128, 4));
  CHECK_FALSE(is_one(3, 128, 3));
  CHECK_FALSE(is_one(protocol::kMaxBatch + 1, 128, protocol::kMaxBatch + 1));
  CHECK_FALSE(is_one(10'000, 129, 10'000));
  CHECK_FALSE(is_one(10'000, 128, 9'999));
  CHECK_FALSE(is_site_question({{kFloat32, {10, 128}}}));
  CHECK_FALSE(is_site_question({{kInt32, {10, 128}}, {kFloat32, {10}}}));
  CHECK_FALSE(is_site_question(
      {{kFloat32, {10, 128}}, {kFloat32, {10}}, {kUint8, {10}}}));
}

}  // namespace mdgan::test
