// How good a generator is, measured beside training and afterwards.
#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "common/evaluate/classifier.h"
#include "tests/support/catch.h"
#include "tests/support/contains.h"
#include "tests/support/process_run.h"
#include "tests/support/text_file.h"

namespace mdgan::test {

namespace fs = std::filesystem;

namespace {

std::vector<nlohmann::json> lines_of(const fs::path& file) {
  std::vector<nlohmann::json> lines;
  std::istringstream text(read_text(file));
  for (std::string line; std::getline(text, line);)
    lines.push_back(nlohmann::json::parse(line));
  return lines;
}

// Results by rounds, of every metric's file.
nlohmann::json results_of(const fs::path& run) {
  nlohmann::json all;
  for (const std::string metric : {"fid", "kid", "is", "pr", "classes"})
    for (const auto& line : lines_of(run / ("metric-" + metric + "30.jsonl")))
      all[metric][line["round"].dump()] = line["results"];
  return all;
}

}  // namespace

TEST_CASE("a run is evaluated on the way, and alike afterwards") {
  const ProcessRun t;
  const std::string data = (t / "data").string();
  const std::vector<std::string> common{"--data",
                                        data,
                                        "--local-peers",
                                        "2",
                                        "--evaluate-every",
                                        "4",
                                        "--evaluate-samples",
                                        "30",
                                        "--evaluate-cache",
                                        (t / "cache").string()};
  const auto train = [&](const std::string& run,
                         std::vector<std::string> more) {
    more.insert(more.end(), common.begin(), common.end());
    auto server = t.server(run, more);
    const auto code = server.wait();
    INFO(server.output());
    REQUIRE(code == 0);
  };
  train("a", {"--rounds", "10", "--checkpoint-every", "4"});
  const nlohmann::json during = results_of(t / "a");
  for (const auto& [metric, rounds] : during.items()) {
    INFO(metric);
    CHECK(rounds.size() == 3);
    CHECK(rounds.contains("4"));
    CHECK(rounds.contains("8"));
    CHECK(rounds.contains("10"));
  }
  CHECK(during["classes"]["10"]["class_histogram"].size() == 10);
  CHECK(t.log("a").find("the classifier is right on") != std::string::npos);

  // The last evaluation is in the last line of the statistics.
  const auto stats = lines_of(t / "a" / "stats.jsonl");
  REQUIRE(stats.back()["round"] == 10);
  CHECK(stats.back()["metrics"]["round"] == 10);
  CHECK(stats.back()["metrics"]["frechet_inception_distance"] ==
        during["fid"]["10"]["frechet_inception_distance"]);

  CHECK(std::ranges::count(stats, 10, [](const nlohmann::json& line) {
          return line["round"].get<int>();
        }) == 1);

  // Afterwards, with the same classifier, from the checkpoints.
  for (const auto& entry : fs::directory_iterator(t / "a"))
    if (entry.path().filename().string().starts_with("metric-"))
      fs::remove(entry.path());
  auto tool =
      t.tool({MDGAN_SERVER, "evaluate", "--run", (t / "a").string(), "--all"},
             "evaluate.out");
  const auto code = tool.wait();
  INFO(tool.output());
  REQUIRE(code == 0);
  CHECK(tool.output().find("training the classifier") == std::string::npos);
  CHECK((results_of(t / "a") == during));

  // A damaged checkpoint is told of, and the others are evaluated.
  for (const auto& entry : fs::directory_iterator(t / "a"))
    if (entry.path().filename().string().starts_with("metric-"))
      fs::remove(entry.path());
  fs::resize_file(t / "a/checkpoints/00000004/state.safetensors", 100);
  auto damaged =
      t.tool({MDGAN_SERVER, "evaluate", "--run", (t / "a").string(), "--all"},
             "damaged.out");
  CHECK(damaged.wait() == 7);
  const nlohmann::json valid = results_of(t / "a");
  CHECK(valid["fid"].size() == 2);
  CHECK((valid["fid"]["8"] == during["fid"]["8"]));

  // It changes nothing of the training.
  auto plain = t.server("b", {"--data", data, "--local-peers", "2", "--rounds",
                              "10", "--checkpoint-every", "4"});
  REQUIRE(plain.wait() == 0);
  CHECK((t.weights("a") == t.weights("b")));

  // What was measured after the checkpoint that a run goes on from is gone.
  fs::remove_all(t / "a" / "checkpoints" / "00000010");
  train("a", {"--resume", (t / "a").string(), "--rounds", "12"});
  const nlohmann::json resumed = results_of(t / "a");
  CHECK(resumed["fid"].contains("12"));
  CHECK_FALSE(resumed["fid"].contains("10"));
  CHECK((resumed["fid"]["8"] == during["fid"]["8"]));
}

TEST_CASE("Ctrl-C while evaluations wait loses neither the run nor a metric") {
  const ProcessRun t;
  const auto train = [&](std::vector<std::string> more) {
    const std::vector<std::string> common{
        "--data", (t / "data").string(), "--local-peers",
        "2",      "--evaluate-cache",    (t / "cache").string()};
    more.insert(more.end(), common.begin(), common.end());
    return t.server("a", more);
  };
  // Every round is to be measured, which takes longer than a round.
  auto server = train({"--rounds", "100000", "--evaluate-every", "1",
                       "--evaluate-samples", "500"});
  REQUIRE(eventually([&] {
    return fs::exists(t / "a/metric-fid500.jsonl") &&
           !lines_of(t / "a/metric-fid500.jsonl").empty();
  }));
  server.signal(SIGINT);
  const auto code = server.wait();
  INFO(server.output());
  REQUIRE(code == 0);
  // Training waited for an evaluation, which was left out.
  CHECK(t.log("a").find("cannot evaluate: the run ends") != std::string::npos);
  const auto stopped = t.round("a");
  for (const std::string metric : {"fid", "kid", "is", "pr", "classes"}) {
    INFO(metric);
    const auto lines = lines_of(t / "a" / ("metric-" + metric + "500.jsonl"));
    REQUIRE_FALSE(lines.empty());
    CHECK(lines.back()["round"].get<std::uint64_t>() <= stopped);
  }

  auto resumed = train({"--resume", (t / "a").string(), "--rounds",
                        std::to_string(stopped + 2)});
  const auto end = resumed.wait();
  INFO(resumed.output());
  REQUIRE(end == 0);
  const auto lines = lines_of(t / "a/metric-fid500.jsonl");
  CHECK(lines.back()["round"] == stopped + 2);
}

TEST_CASE("the last line of statistics does not wait for its evaluation") {
  const ProcessRun t;
  auto server = t.server(
      "a", {"--data", (t / "data").string(), "--local-peers", "2", "--rounds",
            "10", "--evaluate-every", "10", "--evaluate-samples", "50000",
            "--evaluate-cache", (t / "cache").string()});
  REQUIRE(eventually([&] { return t.round("a") == 10; }));
  CHECK_FALSE(fs::exists(t / "a/metric-fid50k.jsonl"));
  server.signal(SIGKILL);
  server.wait();
  CHECK(lines_of(t / "a/stats.jsonl").back()["round"] == 10);
}

TEST_CASE("the classifier learns MNIST") {
  const char* const folder = std::getenv("MDGAN_MNIST_DIR");
  if (folder == nullptr) {
    WARN("skipped: set MDGAN_MNIST_DIR to a folder with MNIST's files");
    return;
  }
  const auto data = mdgan::load_evaluation_data(folder);
  REQUIRE(data);
  CHECK(data->test.size() == 10'000);
  mdgan::ClassifierOptions options;
  options.max_steps = 250;  // about half a pass; six give 99.3 %
  const auto made = mdgan::Classifier::obtain(*data, options);
  REQUIRE(made);
  CHECK((*made)->accuracy() > 0.97);
}

TEST_CASE("a server without images has the peers measure its generator") {
  const ProcessRun t;
  write_bars(t / "north", 200, 8);
  write_bars(t / "south", 120, 8);
  const std::string file = (t / "classifier.safetensors").string();
  auto made = t.tool({MDGAN_PEER, "classifier", "--data",
                      (t / "north").string(), "--out", file},
                     "classifier.out");
  const auto made_with = made.wait();
  INFO(made.output());
  REQUIRE(made_with == 0);
  CHECK(made.output().find("right on") != std::string::npos);

  auto server =
      t.server("a", {"--rounds", "10", "--min-peers", "3", "--evaluate-at",
                     "peers", "--evaluate-every", "5", "--evaluate-samples",
                     "30", "--evaluate-classifier", file});
  auto north = t.peer("a", 0, 3,
                      {"--name", "north", "--evaluate-data",
                       (t / "north").string(), "--evaluate-classifier", file});
  auto south = t.peer("a", 1, 3,
                      {"--name", "south", "--evaluate-data",
                       (t / "south").string(), "--evaluate-classifier", file});
  auto silent = t.peer("a", 2, 3, {"--name", "silent"});
  CHECK(server.wait() == 0);
  INFO(server.output() << north.output() << south.output());
  CHECK(north.wait() == 0);
  CHECK(south.wait() == 0);
  CHECK(silent.wait() == 0);

  const auto distances = lines_of(t / "a/metric-fid30.jsonl");
  REQUIRE(distances.size() == 2);
  CHECK(distances[1]["round"] == 10);
  CHECK(distances[1]["results"]["frechet_inception_distance"] > 0);
  const auto sites = lines_of(t / "a/metric-sites30.jsonl");
  REQUIRE(sites.size() == 2);
  const auto& both = sites[1]["results"]["sites"];
  REQUIRE(both.size() == 2);
  for (const auto& site : both) {
    CHECK((site["name"] == "north" || site["name"] == "south"));
    CHECK(site["recall"] >= 0);
    CHECK(site.contains("frechet_inception_distance_without"));
  }
  CHECK(sites[1]["real_images"] ==
        both[0]["images"].get<int>() + both[1]["images"].get<int>());
  CHECK(both[0]["images"] >= 20);
}

TEST_CASE("a peer measures with images that it does not train on, or not") {
  const ProcessRun t;
  write_bars(t / "few", 40, 8);
  write_bars(t / "large", 100, 12);
  write_bars(t / "good", 100, 8);
  write_text(t / "junk", "no classifier");
  const auto refused = [&](const std::string& images, int code,
                           const char* why) {
    auto peer =
        t.tool({MDGAN_PEER, "--server", "tcp://127.0.0.1:1", "--data",
                (t / "data").string(), "--sessions", "3", "--evaluate-data",
                (t / images).string(), "--evaluate-classifier",
                (t / "junk").string(), "--state-dir", (t / "state").string()},
               images + ".out");
    CHECK(peer.wait() == code);
    INFO(peer.output());
    CHECK(peer.output().find(why) != std::string::npos);
    CHECK_FALSE(fs::exists(t / "state"));
  };
  refused("data", 6, "hold images out into another folder");
  refused("few", 6, "14 images to measure with, fewer than 20");
  refused("large", 6, "another size");
  refused("good", 3, "junk");
}

TEST_CASE("what is no classifier to measure with is refused at the start") {
  const ProcessRun t;
  write_text(t / "junk", "no classifier");
  auto server = t.server(
      "a", {"--min-peers", "1", "--evaluate-at", "peers", "--evaluate-every",
            "5", "--evaluate-classifier", (t / "junk").string()});
  CHECK(server.wait() == 3);
  CHECK(server.output().find("junk") != std::string::npos);
}

TEST_CASE("local peers that cannot hold out enough are refused at the start") {
  const ProcessRun t;
  write_bars(t / "few", 40, 8);
  for (const char* const kind : {"images-idx3-ubyte", "labels-idx1-ubyte"})
    fs::copy(t / "few" / (std::string("train-") + kind),
             t / "few" / (std::string("t10k-") + kind));
  const auto refused = [&](const Words& more, const char* why) {
    auto server = t.server(
        "a", Words{"--data", (t / "data").string(), "--local-peers", "3",
                   "--evaluate-every", "5", "--evaluate-at", "peers",
                   "--evaluate-cache", (t / "cache").string()} +
                 more);
    CHECK(server.wait() == 6);
    CHECK(has(server.output(), why));
    CHECK_FALSE(fs::exists(t / "a" / "config.ini"));
  };
  refused({}, "no test part");
  refused({"--evaluate-data", (t / "few").string()}, "fewer than 20");
}

TEST_CASE(
    "a classifier for other images than the run's ends it before a round") {
  const ProcessRun t;
  write_bars(t / "large", 100, 12);
  const std::string file = (t / "classifier.safetensors").string();
  auto made = t.tool({MDGAN_PEER, "classifier", "--data",
                      (t / "large").string(), "--out", file},
                     "classifier.out");
  REQUIRE(made.wait() == 0);
  auto server = t.server(
      "a", {"--min-peers", "1", "--image", "1x8x8", "--evaluate-every", "5",
            "--evaluate-at", "peers", "--evaluate-classifier", file});
  CHECK(server.wait() == 3);
  CHECK(has(server.output(), "another size or number of channels than 1x8x8"));
}

}  // namespace mdgan::test
