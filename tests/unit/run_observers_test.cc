#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "server/run/progress_line.h"
#include "server/run/stats_writer.h"
#include "tests/support/catch.h"
#include "tests/support/contains.h"
#include "tests/support/some_evaluation.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/text_file.h"

namespace mdgan::test {

namespace fs = std::filesystem;

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

TEST_CASE("server/run/README.md lists every field of a statistics line") {
  StatsRecord stats = some_stats();
  stats.evaluation = some_evaluation(50);
  const std::string text =
      read_text(fs::path(MDGAN_SOURCE_DIR) / "server/run/README.md");
  const std::size_t begin = text.find("\n## stats.jsonl\n");
  REQUIRE(begin != std::string::npos);
  const std::string section =
      text.substr(begin, text.find("\n## ", begin + 1) - begin);
  const auto json = nlohmann::json::parse(to_json(stats));
  CHECK(json["schema"] == 1);
  const auto is_listed = [&](const std::string& name) {
    INFO(name);
    CHECK(section.find("`" + name + "`") != std::string::npos);
  };
  for (const auto& [name, value] : json.items()) is_listed(name);
  for (const auto& [name, value] : json["seconds"].items()) is_listed(name);
}

TEST_CASE("a huge loss is a short text") {
  StatsRecord stats = some_stats();
  stats.d_loss = 1e300;
  stats.g_loss = -123456789;
  const std::string text = progress_text(stats, 100, 1, 0, 0);
  CHECK(text.find("D 1e+300  G -1.23e+08") != std::string::npos);
}

TEST_CASE("who is refused is logged once, and a flood of such is a number") {
  const TemporaryDirectory folder;
  const fs::path log = folder.path() / "log.txt";
  const Terminal terminal;
  {
    const auto run_log = RunLog::open({.file = log, .terminal = terminal.file});
    REQUIRE(run_log.ok());
    ProgressLine progress(**run_log, 100, false);
    const TimePoint now{std::chrono::hours(1)};
    progress.on_view({}, now);
    for (int i = 0; i < 3; ++i)
      progress.on_refused({"small", "10.0.0.7", "has 3 images"});
    for (int i = 0; i < 100; ++i)
      progress.on_refused({"flood-" + std::to_string(i), "", "why"});
    progress.on_view({}, now + std::chrono::minutes(1));
  }
  const std::string text = read_text(log);
  INFO(text);
  CHECK(text.find("warning refused peer small at 10.0.0.7: has 3 images\n") !=
        std::string::npos);
  CHECK(text.find("warning 81 more peers were refused within a minute\n") !=
        std::string::npos);
  CHECK(std::count(text.begin(), text.end(), '\n') == 21);
}

TEST_CASE(
    "a run that does not get on says for whom it waits, ever more rarely") {
  const TemporaryDirectory folder;
  const fs::path log = folder.path() / "log.txt";
  const Terminal terminal;
  CoordinatorView view;
  view.needed = 2;
  view.members.emplace_back().name = "hospital-e";
  {
    const auto run_log = RunLog::open({.file = log, .terminal = terminal.file});
    REQUIRE(run_log.ok());
    ProgressLine progress(**run_log, 100, false);
    TimePoint now{std::chrono::hours(1)};
    for (int second = 0; second < 100; ++second)
      progress.on_view(view, now += std::chrono::seconds(1));
    view.stage = RunStage::kCollecting;
    for (int second = 0; second < 100; ++second) {
      ++view.completed.value;  // it gets on
      view.members[0].owes_since = now;
      progress.on_view(view, now += std::chrono::seconds(1));
    }
  }
  const std::string text = read_text(log);
  INFO(text);
  // after 5, 10, 20, 40 and 80 s
  CHECK(std::count(text.begin(), text.end(), '\n') == 5);
  CHECK(text.find("waiting for 2 of 2 peers: hospital-e\n") !=
        std::string::npos);
}

TEST_CASE("a run that everybody can take part in says so with each progress") {
  const TemporaryDirectory folder;
  const fs::path log = folder.path() / "log.txt";
  const Terminal terminal;
  CoordinatorView view;
  view.needed = 2;
  view.members.emplace_back().name = "hospital-e";
  {
    const auto run_log = RunLog::open({.file = log, .terminal = terminal.file});
    REQUIRE(run_log.ok());
    ProgressLine progress(**run_log, 100, false, /*insecure=*/true);
    progress.on_tick(some_stats());
    const TimePoint now{std::chrono::hours(1)};
    progress.on_view(view, now);
    progress.on_view(view, now + std::chrono::seconds(5));
  }
  const std::string text = read_text(log);
  INFO(text);
  CHECK(contains(text, {"round 50/100", "waiting for 2 of 2 peers"}));
  CHECK(count_of(text, "\n") == 2);
  CHECK(count_of(text, "  INSECURE\n") == 2);
}

TEST_CASE("the progress text says how far, how fast and how well") {
  CHECK(progress_text(some_stats(), 1000, 3725.4, 3 * 1024 * 1024, 1536) ==
        "round 50/1000  2.0 rounds/s  1:02:05 left  D 1.250  G 0.750  4 peers  "
        "sent 3.0 MiB  received 1.5 KiB");
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
    const auto run_log = RunLog::open({.file = log, .terminal = terminal.file});
    REQUIRE(run_log.ok());
    ProgressLine progress(**run_log, 100, false);
    spdlog::info("peer {} joined", 3);
    progress.on_tick(some_stats());
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
    const auto run_log =
        RunLog::open({.file = log, .terminal = terminal.file, .rewrite = true});
    REQUIRE(run_log.ok());
    ProgressLine progress(**run_log, 100, false);
    progress.on_tick(some_stats());
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
    const auto run_log = RunLog::open({.file = log,
                                       .quiet = true,
                                       .terminal = terminal.file,
                                       .rewrite = true});
    REQUIRE(run_log.ok());
    ProgressLine progress(**run_log, 100, false);
    spdlog::info("peer 3 joined");
    progress.on_tick(some_stats());
    spdlog::warn("peer 3 is gone");
  }
  const std::string shown = terminal.text();
  CHECK(std::count(shown.begin(), shown.end(), '\n') == 1);
  CHECK(shown.find("peer 3 is gone") != std::string::npos);
  const std::string file = read_text(log);
  CHECK(std::count(file.begin(), file.end(), '\n') == 3);
}

TEST_CASE("observers are told in the order in which they were added") {
  struct Named final : RunObserver {
    Named(std::string n, std::vector<std::string>& all) : name(n), told(all) {}
    void add(const std::string& what) { told.push_back(name + " " + what); }
    void on_endpoint(const std::string& at) override { add(at); }
    void on_state(ServerState) override { add("state"); }
    void on_view(const CoordinatorView&, TimePoint) override { add("view"); }
    void on_tick(const StatsRecord&) override { add("tick"); }
    void on_note(const Note& note, Round) override { add(note.text); }
    void on_evaluation(const EvaluationRecord&) override { add("evaluation"); }
    void on_checkpoint(Round, const Result<void>&) override { add("saved"); }
    void on_finished(const Finish& finish) override { add(finish.text); }
    std::string name;
    std::vector<std::string>& told;
  };
  std::vector<std::string> told;
  Named one("1", told);
  Named two("2", told);
  RunObservers all;
  all.add(one);
  all.add(two);
  all.on_endpoint("there");
  all.on_state(ServerState::kListening);
  all.on_view({}, {});
  all.on_tick({});
  all.on_note({"note", true}, Round{1});
  all.on_evaluation({});
  all.on_checkpoint(Round{1}, {});
  all.on_finished({ExitCode::kOk, "end"});
  CHECK(told == std::vector<std::string>{
                    "1 there", "2 there", "1 state", "2 state", "1 view",
                    "2 view", "1 tick", "2 tick", "1 note", "2 note",
                    "1 evaluation", "2 evaluation", "1 saved", "2 saved",
                    "1 end", "2 end"});
}

TEST_CASE("the last evaluation comes into the last line of the statistics") {
  const TemporaryDirectory folder;
  const fs::path file = folder / "stats.jsonl";
  const auto lines = [&file] {
    std::vector<nlohmann::json> all;
    std::ifstream in(file);
    for (std::string line; std::getline(in, line);)
      all.push_back(nlohmann::json::parse(line));
    return all;
  };
  auto writer = StatsWriter::open(file, 100, {});
  REQUIRE(writer.ok());
  StatsRecord record = some_stats();
  writer->on_tick(record);
  writer->on_evaluation(some_evaluation(50));
  record.round = 100;
  writer->on_tick(record);
  CHECK(lines().back()["metrics"]["round"] == 50);
  writer->on_evaluation(some_evaluation(100));
  const auto all = lines();
  REQUIRE(all.size() == 2);
  CHECK_FALSE(all[0].contains("metrics"));
  CHECK(all[1]["round"] == 100);
  CHECK(all[1]["metrics"]["round"] == 100);
}

TEST_CASE("the progress line of the last round waits for its evaluation") {
  const TemporaryDirectory folder;
  const fs::path file = folder / "log.txt";
  const Terminal terminal;
  const auto log = RunLog::open({.file = file, .terminal = terminal.file});
  REQUIRE(log.ok());
  StatsRecord record = some_stats();
  const auto shown = [&] { return read_text(file).find("round 50/50"); };
  SECTION("and shows it") {
    ProgressLine progress(**log, 50, true);
    progress.on_tick(record);
    CHECK(shown() == std::string::npos);
    progress.on_evaluation(some_evaluation(50));
    CHECK(read_text(file).find("FID 88.12 at 50", shown()) !=
          std::string::npos);
  }
  SECTION("which may have come already") {
    ProgressLine progress(**log, 50, true);
    progress.on_evaluation(some_evaluation(50));
    progress.on_tick(record);
    CHECK(shown() != std::string::npos);
  }
  SECTION("until the run ends without one") {
    ProgressLine progress(**log, 50, true);
    progress.on_tick(record);
    progress.on_finished({});
    CHECK(shown() != std::string::npos);
  }
}

}  // namespace mdgan::test
