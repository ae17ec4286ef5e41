#include "server/evaluate/evaluation_record.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/some_evaluation.h"
#include "tests/support/temporary_directory.h"

namespace mdgan::test {

namespace fs = std::filesystem;

TEST_CASE("the distance of real images from real ones is kept beside the FID") {
  const TemporaryDirectory folder;
  EvaluationRecord record = some_evaluation(100);
  record.real_frechet_distance = 0.25;
  REQUIRE(keep_evaluation(folder.path(), record));
  std::ifstream lines(folder / "metric-fid10k.jsonl");
  std::string line;
  REQUIRE(std::getline(lines, line));
  const auto json = nlohmann::json::parse(line);
  CHECK(json["results"]["real_frechet_inception_distance"] == 0.25);
  CHECK(json["results"]["frechet_inception_distance"] == 88.125);
  CHECK(nlohmann::json::parse(
            to_json(record))["real_frechet_inception_distance"] == 0.25);
}

TEST_CASE("evaluations are kept a file a metric, in the order of rounds") {
  const TemporaryDirectory folder;
  const fs::path file = folder / "metric-fid10k.jsonl";
  const auto rounds = [&file] {
    std::vector<std::uint64_t> found;
    std::ifstream lines(file);
    for (std::string line; std::getline(lines, line);)
      found.push_back(nlohmann::json::parse(line)["round"]);
    return found;
  };
  for (const std::uint64_t round : {200U, 100U, 300U})
    REQUIRE(keep_evaluation(folder.path(), some_evaluation(round)));
  CHECK(rounds() == std::vector<std::uint64_t>{100, 200, 300});
  EvaluationRecord better = some_evaluation(200);
  better.frechet_distance = 7;
  REQUIRE(keep_evaluation(folder.path(), better));
  CHECK(rounds() == std::vector<std::uint64_t>{100, 200, 300});
  std::ifstream lines(file);
  std::string line;
  std::getline(lines, line);
  std::getline(lines, line);
  const auto json = nlohmann::json::parse(line);
  CHECK(json["metric"] == "fid10k");
  CHECK(json["results"]["frechet_inception_distance"] == 7);
  CHECK_FALSE(json["results"].contains("real_frechet_inception_distance"));
  CHECK(json["samples"] == 10'000);
  CHECK(json["real_images"] == 9000);
  CHECK(json["features"] == "a network");
  CHECK(json["seconds"] == 1.5);
  CHECK(fs::exists(folder / "metric-kid10k.jsonl"));
  CHECK(fs::exists(folder / "metric-pr10k.jsonl"));
  CHECK_FALSE(fs::exists(folder / "metric-is10k.jsonl"));  // no classes
  // Other features are another measure.
  EvaluationRecord other = some_evaluation(200);
  other.features = "another network";
  REQUIRE(keep_evaluation(folder.path(), other));
  CHECK(rounds() == std::vector<std::uint64_t>{100, 200, 200, 300});
  EvaluationRecord small = some_evaluation(100);
  small.samples = 500;
  REQUIRE(keep_evaluation(folder.path(), small));
  CHECK(fs::exists(folder / "metric-fid500.jsonl"));

  REQUIRE(truncate_evaluations(folder.path(), Round{200}));
  CHECK(rounds() == std::vector<std::uint64_t>{100, 200, 200});
}

}  // namespace mdgan::test
