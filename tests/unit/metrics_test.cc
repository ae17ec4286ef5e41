#include "common/evaluate/metrics.h"

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "common/base/random.h"
#include "common/evaluate/feature_statistics.h"
#include "tests/support/catch.h"
#include "tests/support/child_process.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/trainer_run.h"

namespace mdgan::test {
namespace {

using Rows = std::vector<std::vector<float>>;

Blob matrix(const Rows& rows) {
  std::vector<float> values;
  for (const auto& row : rows)
    values.insert(values.end(), row.begin(), row.end());
  return float_blob({rows.size(), rows.front().size()}, values);
}

// Like a network's activations: not negative, unevenly spread, correlated.
std::vector<float> activations(std::size_t n, std::size_t width, float shift,
                               std::uint64_t seed) {
  std::vector<float> values(n * width);
  Random random(seed, Purpose::kSimulation);
  random.fill_normal(values);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = width; j-- > 1;) {
      float& value = values[i * width + j];
      value = std::max(0.0F, value * (0.5F + static_cast<float>(j % 3)) +
                                 values[i * width + j - 1] + shift);
    }
  return values;
}

// Each row positive and with the sum one.
std::vector<float> probabilities(std::size_t n, std::size_t classes) {
  std::vector<float> values(n * classes);
  Random random(9, Purpose::kSimulation);
  random.fill_uniform(values, 0.01F, 1);
  for (std::size_t i = 0; i < n; ++i) {
    float sum = 0;
    for (std::size_t j = 0; j < classes; ++j) sum += values[i * classes + j];
    for (std::size_t j = 0; j < classes; ++j) values[i * classes + j] /= sum;
  }
  return values;
}

// +-`scale` on each of three axes, around `centre`: the covariance is
// scale^2 * 2 / 5 times the identity.
Blob cross(float scale, float centre) {
  Rows rows;
  for (std::size_t axis = 0; axis < 3; ++axis)
    for (const float sign : {-1.0F, 1.0F}) {
      rows.emplace_back(3, centre);
      rows.back()[axis] += sign * scale;
    }
  return matrix(rows);
}

TEST_CASE("the Frechet distance of a set to itself is zero", "[metrics]") {
  const Blob set = float_blob({200, 16}, activations(200, 16, 0, 1));
  CHECK(RealFeatures(set).frechet_distance(set) < 1e-9);
}

TEST_CASE("the Frechet distance of known normals has its closed form",
          "[metrics]") {
  const double spread = std::sqrt(0.4);
  const RealFeatures real(cross(1, 0));
  // 3 axes: |m1 - m2|^2 + sum of (s1 - s2)^2.
  CHECK(real.frechet_distance(cross(1, 2)) == Approx(12));
  CHECK(real.frechet_distance(cross(3, 0)) ==
        Approx(3 * std::pow(3 * spread - spread, 2)));
  CHECK(real.frechet_distance(cross(2, 1)) == Approx(3 * (1 + 0.4)));
}

TEST_CASE("mean and covariance alone give the same Frechet distance",
          "[metrics]") {
  const Blob a = float_blob({200, 16}, activations(200, 16, 0, 1));
  const Blob b = float_blob({150, 16}, activations(150, 16, 1, 2));
  const TemporaryDirectory folder;
  REQUIRE(write_statistics(folder / "a.npz", statistics_of(a)).ok());
  const auto kept = read_statistics(folder / "a.npz");
  REQUIRE(kept);
  CHECK(frechet_distance(*kept, statistics_of(b)) ==
        Approx(RealFeatures(a).frechet_distance(b)));
  CHECK(frechet_distance(*kept, statistics_of(a)) < 1e-9);
  SECTION("what is no such file is refused in words") {
    FeatureStatistics odd = *kept;
    odd.covariance.front() = std::numeric_limits<double>::quiet_NaN();
    REQUIRE(write_statistics(folder / "b.npz", odd).ok());
    const auto read = read_statistics(folder / "b.npz");
    REQUIRE_FALSE(read);
    CHECK(read.error().code == ExitCode::kData);
  }
}

TEST_CASE("the kernel distance of one subset is what its formula says",
          "[metrics]") {
  // Real: 0, 0, 0, 0; generated: 1, 1, 1, 1. The kernel is 1 between the first
  // and anything, 8 among the second.
  const Rows zeros(4, {0});
  const Rows ones(4, {1});
  const RealFeatures real(matrix(zeros));
  const MeanAndSpread apart = real.kernel_distance(matrix(ones), 5, 1000);
  CHECK(apart.mean == Approx(1 + 8 - 2));
  CHECK(apart.std == Approx(0).margin(1e-9));
  CHECK(real.kernel_distance(matrix(zeros), 5, 2).mean ==
        Approx(0).margin(1e-9));
}

TEST_CASE("kernel distances of random subsets repeat and spread around zero",
          "[metrics]") {
  const RealFeatures real(float_blob({400, 8}, activations(400, 8, 0, 1)));
  const Blob alike = float_blob({300, 8}, activations(300, 8, 0, 2));
  const Blob other = float_blob({300, 8}, activations(300, 8, 1, 2));
  const MeanAndSpread near = real.kernel_distance(alike, 20, 100);
  CHECK(near.mean == real.kernel_distance(alike, 20, 100).mean);
  CHECK(near.std > 0);
  CHECK(std::abs(near.mean) < 3 * near.std);
  CHECK(real.kernel_distance(other, 20, 100).mean > 10 * near.std);
}

TEST_CASE("the inception score is between one and the number of classes",
          "[metrics]") {
  Rows even(40, {0.25F, 0.25F, 0.25F, 0.25F});
  CHECK(inception_score(matrix(even)).mean == Approx(1));
  CHECK(inception_score(matrix(even)).std == Approx(0).margin(1e-9));
  Rows sure(40, {0, 0, 0, 0});
  for (std::size_t i = 0; i < sure.size(); ++i) sure[i][i % 4] = 1;
  CHECK(inception_score(matrix(sure)).mean == Approx(4));
  // The first half of the images is of one class, the others of two.
  Rows half(40, {1, 0});
  for (std::size_t i = 20; i < half.size(); i += 2) half[i] = {0, 1};
  const MeanAndSpread score = inception_score(matrix(half), 2);
  CHECK(score.mean == Approx(1.5));
  CHECK(score.std == Approx(0.5));
}

TEST_CASE("histograms count the most probable classes", "[metrics]") {
  const auto shares = class_histogram(
      matrix({{0.5F, 0.3F, 0.2F}, {0.1F, 0, 0.9F}, {0, 0, 1}, {1, 0, 0}}));
  CHECK(shares == std::vector<double>{0.5, 0, 0.5});
  CHECK(total_variation(shares, {0.5, 0, 0.5}) == 0);
  CHECK(total_variation(shares, {0, 1, 0}) == 1);
  CHECK(total_variation(shares, {0.25, 0.25, 0.5}) == 0.25);
}

TEST_CASE("precision and recall see what is missing", "[metrics]") {
  // Neighbours on a line: the third one of 0 is 3, of 1 and 2 is two away.
  const Rows line{{0}, {1}, {2}, {3}};
  const RealFeatures real(matrix(line));
  const PrecisionRecall same = real.precision_recall(matrix(line));
  CHECK(same.precision == 1);
  CHECK(same.recall == 1);
  CHECK(same.f_score == 1);
  const PrecisionRecall far =
      real.precision_recall(matrix({{100}, {101}, {102}, {103}}));
  CHECK(far.precision == 0);
  CHECK(far.recall == 0);
  CHECK(far.f_score == 0);
  // 6 is within 3 of 3 and -3 of 0; 7 is not. The third neighbour of 6 is 100,
  // and all real ones are nearer to it.
  const PrecisionRecall some =
      real.precision_recall(matrix({{6}, {-3}, {7}, {100}}));
  CHECK(some.precision == 0.5);
  CHECK(some.recall == 1);
  CHECK(some.f_score == Approx(2.0 / 3));
  // One spot, in the middle: every generated image is right, few reals are hit.
  const PrecisionRecall collapsed =
      real.precision_recall(matrix({{1}, {1}, {1}, {1}}));
  CHECK(collapsed.precision == 1);
  CHECK(collapsed.recall == 0.25);
}

void write_floats(const std::filesystem::path& file,
                  const std::vector<float>& values) {
  std::ofstream out(file, std::ios::binary);
  out.write(reinterpret_cast<const char*>(values.data()),
            static_cast<std::streamsize>(values.size() * sizeof(float)));
}

TEST_CASE("numpy and scipy compute the same metrics", "[metrics]") {
  const TemporaryDirectory folder;
  const std::string python = "/usr/bin/python3";
  ChildProcess probe({python, "-c", "import numpy, scipy.linalg"},
                     folder / "probe");
  if (probe.wait() != 0) {
    WARN("skipped: install python3-scipy to compare with it");
    return;
  }
  const std::vector<float> real = activations(300, 24, 0, 1);
  const std::vector<float> generated = activations(250, 24, 0.3F, 2);
  const std::vector<float> scores = probabilities(250, 5);
  write_floats(folder / "real", real);
  write_floats(folder / "generated", generated);
  write_floats(folder / "probabilities", scores);
  ChildProcess twin({python, MDGAN_SOURCE_DIR "/tests/interop/metrics.py",
                     folder.path().string(), "24", "5"},
                    folder / "out");
  const auto code = twin.wait();
  INFO(twin.output());
  REQUIRE(code == 0);
  std::map<std::string, double> expected;
  std::istringstream lines(twin.output());
  std::string name;
  for (double value = 0; lines >> name >> value;) expected[name] = value;

  const RealFeatures reference(float_blob({300, 24}, real));
  const Blob features = float_blob({250, 24}, generated);
  CHECK(reference.frechet_distance(features) ==
        Approx(expected.at("frechet_inception_distance")).epsilon(1e-6));
  // Its subsets are of the first images; so all, of as many real ones.
  const RealFeatures first(float_blob(
      {250, 24}, {real.begin(), real.begin() + std::ptrdiff_t{250} * 24}));
  CHECK(first.kernel_distance(features, 1, 250).mean ==
        Approx(expected.at("kernel_inception_distance_mean")).epsilon(1e-4));
  const PrecisionRecall among = reference.precision_recall(features);
  CHECK(among.precision == Approx(expected.at("precision")));
  CHECK(among.recall == Approx(expected.at("recall")));
  CHECK(among.f_score == Approx(expected.at("f_score")));
  CHECK(among.precision < 1);  // or the comparison would say little
  CHECK(among.recall > 0);
  const MeanAndSpread score = inception_score(float_blob({250, 5}, scores));
  CHECK(score.mean == Approx(expected.at("inception_score_mean")));
  CHECK(score.std == Approx(expected.at("inception_score_std")));
}

}  // namespace
}  // namespace mdgan::test
