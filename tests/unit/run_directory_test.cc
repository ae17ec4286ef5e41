#include "server/run/run_directory.h"

#include <spdlog/spdlog.h>

#include <unistd.h>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>
#include <vector>

#include "server/run/progress_line.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/text_file.h"

namespace fs = std::filesystem;
using namespace mdgan;
using mdgan::test::read_text;

namespace {

StatsRecord some_stats() {
  StatsRecord stats;
  stats.round = 50;
  stats.d_loss = 1.25;
  stats.g_loss = 0.75;
  stats.seconds_per_round = 0.5;
  stats.seconds.wait = 0.25;
  stats.rounds_per_second = 2;
  stats.bytes_sent = 3 * 1024 * 1024;
  stats.bytes_received = 1536;
  stats.peers = 4;
  return stats;
}

struct Terminal {  // stands in for a person's: what is written can be read
  std::FILE* file = std::tmpfile();
  ~Terminal() { std::fclose(file); }
  std::string text() const {
    std::rewind(file);
    std::string all;
    for (int c = 0; (c = std::fgetc(file)) != EOF;) all += static_cast<char>(c);
    return all;
  }
};

}  // namespace

TEST_CASE("runs are numbered on from the highest there is") {
  const TemporaryDirectory folder;
  const fs::path runs = folder.path() / "runs";
  const auto made = [&](const char* name) {
    const auto run = RunDirectory::create_numbered(runs, name);
    INFO((run ? "" : run.error().message));
    REQUIRE(run.ok());
    for (const fs::path& sub :
         {run->samples(), run->checkpoints(), run->peers()})
      CHECK(fs::is_directory(sub));
    return run->path().filename().string();
  };
  CHECK(made("a") == "00001-a");
  CHECK(made("b") == "00002-b");
  fs::create_directories(runs / "00041-by-hand");
  fs::create_directories(runs / "77-too-short");
  fs::create_directories(runs / "99999");
  CHECK(made("a") == "00042-a");
}

TEST_CASE("runs that start at the same time get numbers of their own") {
  const TemporaryDirectory folder;
  constexpr std::size_t kRuns = 16;
  std::vector<std::string> names(kRuns);
  {
    std::vector<std::jthread> starters;
    for (std::size_t i = 0; i < kRuns; ++i)
      starters.emplace_back([&, i] {
        const auto run = RunDirectory::create_numbered(
            folder.path(), "run" + std::to_string(i));
        if (run) names[i] = run->path().filename().string().substr(0, 5);
      });
  }
  const std::set<std::string> distinct(names.begin(), names.end());
  CHECK(distinct.size() == kRuns);
  CHECK_FALSE(distinct.contains(""));
}

TEST_CASE("a folder in use is refused, naming the process that uses it") {
  const TemporaryDirectory folder;
  const fs::path path = folder.path() / "run";
  {
    const auto first = RunDirectory::create(path);
    REQUIRE(first.ok());
    for (const auto& second :
         {RunDirectory::create(path), [&] {
            REQUIRE(first->write_configuration("k = 1\n").ok());
            return RunDirectory::reopen(path);
          }()}) {
      REQUIRE_FALSE(second.ok());
      CHECK(second.error().code == ExitCode::kConfiguration);
      CHECK(second.error().message ==
            path.string() + " is in use by process " +
                std::to_string(::getpid()) +
                ": stop that first, or choose another --run-dir");
    }
  }
  CHECK(RunDirectory::reopen(path).ok());
}

TEST_CASE("a folder that holds a run is taken only to resume it") {
  const TemporaryDirectory folder;
  const fs::path path = folder.path() / "run";
  const auto missing = RunDirectory::reopen(path);
  REQUIRE_FALSE(missing.ok());
  CHECK(missing.error().code == ExitCode::kCheckpoint);
  CHECK_FALSE(fs::exists(path));

  REQUIRE(RunDirectory::create(path)->write_configuration("k = 1\n").ok());
  CHECK(read_text(path / "config.ini") == "k = 1\n");
  REQUIRE(RunDirectory::create(path).ok());  // it never trained
  std::ofstream(path / "stats.jsonl") << "{}\n";
  const auto again = RunDirectory::create(path);
  REQUIRE_FALSE(again.ok());
  CHECK(again.error().code == ExitCode::kConfiguration);
  CHECK(again.error().message.find("--resume") != std::string::npos);
  CHECK(RunDirectory::reopen(path).ok());

  std::ofstream(path / "config.ini", std::ios::trunc).flush();
  const auto emptied = RunDirectory::reopen(path);
  REQUIRE_FALSE(emptied.ok());
  CHECK(emptied.error().code == ExitCode::kCheckpoint);
  CHECK(emptied.error().message.find("config.ini is empty") !=
        std::string::npos);
}

TEST_CASE("a folder that cannot be made is an error with its name") {
  const TemporaryDirectory folder;
  std::ofstream(folder.path() / "file") << "x";
  const auto run = RunDirectory::create(folder.path() / "file" / "run");
  REQUIRE_FALSE(run.ok());
  CHECK(run.error().code == ExitCode::kCheckpoint);
  CHECK(run.error().message.find("file/run") != std::string::npos);
}

TEST_CASE("a statistics line has the fields that scripts read") {
  StatsRecord stats = some_stats();
  stats.feedback_norm = std::numeric_limits<double>::infinity();
  const std::string line = to_json(stats);
  CHECK(line.find('\n') == std::string::npos);
  const auto json = nlohmann::json::parse(line);
  CHECK(json["round"] == 50);
  CHECK(json["d_loss"] == 1.25);
  CHECK(json["g_loss"] == 0.75);
  CHECK(json["feedback_norm"].is_null());
  CHECK(json["seconds_per_round"] == 0.5);
  for (const char* phase : {"generate", "send", "wait", "merge", "step"})
    CHECK(json["seconds"][phase].is_number());
  CHECK(json["seconds"]["wait"] == 0.25);
  CHECK(json["rounds_per_second"] == 2);
  CHECK(json["bytes_sent"] == 3 * 1024 * 1024);
  CHECK(json["bytes_received"] == 1536);
  CHECK(json["peers"] == 4);
}

TEST_CASE("the progress text says how far, how fast and how well") {
  CHECK(progress_text(some_stats(), 1000, 3725.4, 3 * 1024 * 1024, 1536) ==
        "round 50/1000  2.0 rounds/s  1:02:05 left  D 1.250  G 0.750  4 peers  "
        "sent 3.0 MiB  received 1.5 KiB");
}

EvaluationRecord some_evaluation(std::uint64_t round) {
  EvaluationRecord record;
  record.round = round;
  record.samples = 10'000;
  record.real_images = 9000;
  record.features = "a network";
  record.frechet_distance = 88.125;
  record.kernel_distance_mean = 0.5;
  record.precision = 0.25;
  record.seconds.kernel = 1.5;
  return record;
}

TEST_CASE("an evaluation is in the next statistics and on the progress line") {
  StatsRecord stats = some_stats();
  CHECK_FALSE(nlohmann::json::parse(to_json(stats)).contains("metrics"));
  stats.evaluation = some_evaluation(40);
  ClassScores& classes = stats.evaluation->classes.emplace();
  classes.inception_score_mean = 8.5;
  classes.histogram = {0.75, 0.25};
  const auto metrics = nlohmann::json::parse(to_json(stats))["metrics"];
  CHECK(metrics["round"] == 40);
  CHECK(metrics["frechet_inception_distance"] == 88.125);
  CHECK(metrics["kernel_inception_distance_mean"] == 0.5);
  CHECK(metrics["precision"] == 0.25);
  CHECK(metrics["inception_score_mean"] == 8.5);
  CHECK(metrics["class_histogram"] == std::vector<double>{0.75, 0.25});
  CHECK(metrics["features"] == "a network");
  CHECK(metrics["seconds"] == 1.5);
  const std::string text = progress_text(stats, 1000, 0, 0, 0);
  CHECK(text.ends_with("  FID 88.12  score 8.50 at 40"));
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

TEST_CASE("the remaining time follows the latest speed") {
  RemainingTime remaining;
  remaining.add(10);
  CHECK(remaining.of(3) == Approx(30));
  for (int i = 0; i < 40; ++i) remaining.add(1);
  CHECK(remaining.of(3) == Approx(3).epsilon(0.01));
}

TEST_CASE("off a terminal, progress is plain lines, there and in log.txt") {
  const TemporaryDirectory folder;
  const fs::path log = folder.path() / "log.txt";
  const Terminal terminal;
  {
    const auto progress = ProgressLine::open(
        {.log_file = log, .rounds = 100, .terminal = terminal.file});
    REQUIRE(progress.ok());
    spdlog::info("peer {} joined", 3);
    (*progress)->tick(some_stats());
  }
  for (const std::string& text : {terminal.text(), read_text(log)}) {
    INFO(text);
    CHECK(std::count(text.begin(), text.end(), '\n') == 2);
    CHECK(text.find("info    peer 3 joined\n") != std::string::npos);
    // 50 rounds to come at half a second each
    CHECK(text.find("round 50/100  2.0 rounds/s  0:25 left") !=
          std::string::npos);
    CHECK(text.find('\033') == std::string::npos);
  }
}

TEST_CASE("on a terminal, log lines do not tear the progress line") {
  const TemporaryDirectory folder;
  const fs::path log = folder.path() / "log.txt";
  const Terminal terminal;
  {
    const auto progress = ProgressLine::open({.log_file = log,
                                              .rounds = 100,
                                              .terminal = terminal.file,
                                              .rewrite = true});
    REQUIRE(progress.ok());
    (*progress)->tick(some_stats());
    spdlog::warn("peer 3 is gone");
  }
  const std::string shown = terminal.text();
  INFO(shown);
  // drawn; erased for the log line; drawn again below it; ended
  const std::size_t erased = shown.find("\r\033[K", shown.find("round 50"));
  REQUIRE(erased != std::string::npos);
  const std::size_t logged = shown.find("peer 3 is gone\n", erased);
  REQUIRE(logged != std::string::npos);
  CHECK(shown.find("round 50/100", logged) != std::string::npos);
  CHECK(shown.back() == '\n');
  const std::string file = read_text(log);
  CHECK(file.find("round 50/100") != std::string::npos);
  CHECK(file.find("peer 3 is gone") != std::string::npos);
  CHECK(file.find('\033') == std::string::npos);
}

TEST_CASE("a quiet run shows warnings alone, and logs everything") {
  const TemporaryDirectory folder;
  const fs::path log = folder.path() / "log.txt";
  const Terminal terminal;
  {
    const auto progress = ProgressLine::open({.log_file = log,
                                              .rounds = 100,
                                              .quiet = true,
                                              .terminal = terminal.file,
                                              .rewrite = true});
    REQUIRE(progress.ok());
    spdlog::info("peer 3 joined");
    (*progress)->tick(some_stats());
    spdlog::warn("peer 3 is gone");
  }
  const std::string shown = terminal.text();
  CHECK(std::count(shown.begin(), shown.end(), '\n') == 1);
  CHECK(shown.find("peer 3 is gone") != std::string::npos);
  const std::string file = read_text(log);
  CHECK(std::count(file.begin(), file.end(), '\n') == 3);
}
