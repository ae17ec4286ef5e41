#include "server/run/run_directory.h"

#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "server/run/run_configuration.h"
#include "tests/support/catch.h"
#include "tests/support/contains.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/text_file.h"

namespace mdgan::test {

namespace fs = std::filesystem;

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
    const auto first = RunDirectory::open(path);
    REQUIRE(first.ok());
    for (const auto& second :
         {RunDirectory::open(path), [&] {
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

TEST_CASE("a folder is opened to begin a run in it or to go on with one") {
  const TemporaryDirectory folder;
  const fs::path path = folder.path() / "run";
  const auto missing = RunDirectory::reopen(path);
  REQUIRE_FALSE(missing.ok());
  CHECK(missing.error().code == ExitCode::kCheckpoint);
  CHECK_FALSE(fs::exists(path));

  {
    const auto begun = RunDirectory::open(path);
    REQUIRE(begun.ok());
    CHECK_FALSE(begun->holds_run());
    REQUIRE(begun->write_configuration("k = 1\n").ok());
    CHECK(contains(read_text(path / "config.ini"), {"\nk = 1\n"}));
  }
  // It was killed before its first checkpoint, perhaps while it wrote that.
  fs::create_directory(path / "checkpoints" / ".tmp-00000000-a1b2");
  CHECK_FALSE(RunDirectory::open(path)->holds_run());
  fs::create_directory(path / "checkpoints" / "00000000");
  CHECK(RunDirectory::open(path)->holds_run());
  CHECK(RunDirectory::reopen(path)->holds_run());
}

TEST_CASE(
    "a run without its configuration is refused, saying what is missing") {
  const TemporaryDirectory folder;
  const fs::path path = folder.path() / "run";
  fs::create_directories(path / "checkpoints" / "00000008");
  const auto refused = [&](const char* why) {
    for (const auto& run :
         {RunDirectory::open(path), RunDirectory::reopen(path)}) {
      REQUIRE_FALSE(run.ok());
      CHECK(run.error().code == ExitCode::kCheckpoint);
      CHECK(run.error().message.find(std::string("config.ini is ") + why) !=
            std::string::npos);
    }
  };
  refused("missing");
  std::ofstream(path / "config.ini").flush();
  refused("empty");
  const std::string whole = marked_configuration("k = 1\nlr-g = 0.1\n");
  for (const std::string& part :
       {whole.substr(0, 20), whole.substr(0, whole.find("lr-g")),
        whole.substr(0, whole.find("# end"))}) {
    write_text(path / "config.ini", part);
    refused("cut off");
  }
  // An editor takes the last newline away, and a person adds a key.
  for (const std::string& edited :
       {whole.substr(0, whole.size() - 1), whole + "k = 2\n"}) {
    write_text(path / "config.ini", edited);
    CHECK(RunDirectory::reopen(path).ok());
  }
  write_text(path / "config.ini", whole);
  CHECK(RunDirectory::reopen(path).ok());
  // One that a person wrote anew has no marks.
  write_text(path / "config.ini", "k = 1\n");
  CHECK(RunDirectory::reopen(path).ok());
}

TEST_CASE("a configuration that no run has written stays as it is") {
  const TemporaryDirectory folder;
  write_text(folder / "config.ini", "# my own\nk = 1\n");
  for (const auto& run : {RunDirectory::open(folder.path()),
                          RunDirectory::reopen(folder.path())}) {
    REQUIRE_FALSE(run.ok());
    CHECK(run.error().code == ExitCode::kConfiguration);
    CHECK(contains(run.error().message,
                   {"config.ini is there, and no run of this program"}));
  }
  CHECK(read_text(folder / "config.ini") == "# my own\nk = 1\n");
}

TEST_CASE("what is no folder is told as what it is") {
  const TemporaryDirectory folder;
  write_text(folder / "file", "x");
  fs::create_symlink(folder / "gone", folder / "link");
  const auto told = [&](const fs::path& path) {
    const auto run = RunDirectory::open(path);
    REQUIRE_FALSE(run.ok());
    CHECK(run.error().code == ExitCode::kCheckpoint);
    return run.error().message;
  };
  CHECK(contains(told(folder / "file"), {"file is a file: give a folder"}));
  CHECK(contains(told(folder / "file" / "run"), {"file is a file"}));
  CHECK(
      contains(told(folder / "link"), {"is a link to", "which is not there"}));
  CHECK_FALSE(RunDirectory::create_numbered(folder / "file", "x").ok());
}

TEST_CASE("no output takes the place of one of a run's own files") {
  const TemporaryDirectory folder;
  const fs::path run = folder / "run";
  fs::create_directories(run / "checkpoints" / "00000010");
  fs::create_directory_symlink(run, folder / "link");
  for (const fs::path& file :
       {run / "config.ini", run / "lock", run / "metric-fid10k.jsonl",
        run / "checkpoints/00000010/state.safetensors",
        run / "samples/../status.json", folder / "link/config.ini"}) {
    INFO(file.string());
    const auto checked = check_output(file, run);
    REQUIRE_FALSE(checked.ok());
    CHECK(checked.error().code == ExitCode::kUsage);
  }
  // What is not there yet is told, too, by a relative name.
  const fs::path before = fs::current_path();
  fs::current_path(run);
  CHECK_FALSE(check_output("tensorboard", ".").ok());
  CHECK(check_output("mine.png", ".").ok());
  fs::current_path(before);
  for (const fs::path& file : {run / "grid.png", run / "samples/mine.png",
                               folder / "config.ini", fs::path("grid.png")}) {
    INFO(file.string());
    CHECK(check_output(file, run).ok());
  }
}

TEST_CASE("fault 38: a run whose checkpoints are gone is not begun anew") {
  const TemporaryDirectory folder;
  const fs::path path = folder.path() / "run";
  {
    // What a server leaves that was killed before its first checkpoint.
    const auto begun = RunDirectory::open(path);
    REQUIRE(begun.ok());
    REQUIRE(begun->write_incarnation(1).ok());
    REQUIRE(begun->write_configuration("k = 1\n").ok());
    write_text(path / "status.json", R"({"round": 0, "checkpoint": null})");
    write_text(path / "stats.jsonl", "");
    write_text(path / "events.jsonl",
               "{\"round\": 0, \"event\": \"fault\"}\n\n{\"rou");
  }
  REQUIRE(RunDirectory::open(path).ok());
  std::string shown_by;
  SECTION("status.json names a round") {
    write_text(path / "status.json", R"({"round": 3, "checkpoint": null})");
    shown_by = "status.json";
  }
  SECTION("status.json names a checkpoint") {
    write_text(path / "status.json", R"({"round": 0, "checkpoint": 0})");
    shown_by = "status.json";
  }
  SECTION("stats.jsonl has a round") {
    write_text(path / "stats.jsonl", "\n{\"round\": 1}\n{\"ro");
    shown_by = "stats.jsonl";
  }
  SECTION("events.jsonl has a checkpoint") {
    write_text(path / "events.jsonl",
               "{\"round\": 0, \"event\": \"checkpoint\"}\n");
    shown_by = "events.jsonl";
  }
  SECTION("their folder is not there") {
    fs::remove(path / "checkpoints");
    shown_by = "incarnation";
  }
  for (int i = 0; i < 2; ++i)  // the first refusal does not hide it
    for (const auto& again :
         {RunDirectory::open(path), RunDirectory::reopen(path)}) {
      REQUIRE_FALSE(again.ok());
      CHECK(again.error().code == ExitCode::kCheckpoint);
      CHECK(again.error().message ==
            "the run in " + path.string() + " has trained, as " + shown_by +
                " shows, and there is no checkpoint in " +
                (path / "checkpoints").string() +
                ": put one back from a backup, or begin a new run in another "
                "folder");
    }
}

TEST_CASE("what is no file where a server writes one is refused by name") {
  const TemporaryDirectory folder;
  const fs::path path = folder.path() / "run";
  const std::string name = GENERATE(
      "config.ini", "log.txt", "status.json", "stats.jsonl", "events.jsonl",
      "incarnation", "partition.json", "lock", "metric-fid50.jsonl");
  const bool is_pipe = GENERATE(true, false);
  const bool has_trained = GENERATE(true, false);
  fs::create_directories(path);
  if (has_trained) {
    fs::create_directories(path / "checkpoints" / "00000008");
    write_text(path / "config.ini", "k = 1\n");
    fs::remove(path / name);
  }
  if (is_pipe)
    REQUIRE(::mkfifo((path / name).c_str(), 0666) == 0);
  else
    fs::create_directory(path / name);
  const auto run = RunDirectory::open(path);
  REQUIRE_FALSE(run.ok());
  INFO(run.error().message);
  CHECK(run.error().code == ExitCode::kCheckpoint);
  CHECK(run.error().message.find((path / name).string()) != std::string::npos);
}

TEST_CASE("a folder of a run that is none is refused at the start") {
  const TemporaryDirectory folder;
  const fs::path path = folder.path() / "run";
  const std::string name = GENERATE("samples", "checkpoints", "peers");
  fs::create_directories(path);
  write_text(path / name, "");
  const auto run = RunDirectory::open(path);
  REQUIRE_FALSE(run.ok());
  CHECK(run.error().code == ExitCode::kCheckpoint);
  CHECK(run.error().message.find((path / name).string()) != std::string::npos);
}

TEST_CASE("a damaged incarnation never goes back to one") {
  const TemporaryDirectory folder;
  const fs::path path = folder.path() / "run";
  const auto run = RunDirectory::open(path);
  REQUIRE(run.ok());
  CHECK(run->next_incarnation(run->last_incarnation()) == 1);
  REQUIRE(run->write_incarnation(7).ok());
  CHECK(run->last_incarnation() == 7);
  std::ofstream(path / "status.json") << R"({"incarnation": 9})";
  CHECK(run->last_incarnation() == 9);
  CHECK(run->next_incarnation(9) == 10);

  const std::string damage =
      GENERATE("", "7", "x\n", "-3\n", "7 8\n", "99999999999\n", "\xff\xff");
  std::ofstream(path / "incarnation", std::ios::trunc) << damage;
  CHECK(run->last_incarnation() == 9);
  std::ofstream(path / "status.json", std::ios::trunc) << "{";
  CHECK(run->last_incarnation() == 0);
  fs::create_directory(path / "checkpoints" / "00000008");
  const std::uint32_t drawn = run->next_incarnation(0);
  CHECK(drawn > 1'000'000);
  CHECK(drawn != run->next_incarnation(0));
}

TEST_CASE("a folder that cannot be made is an error with its name") {
  const TemporaryDirectory folder;
  std::ofstream(folder.path() / "file") << "x";
  const auto run = RunDirectory::open(folder.path() / "file" / "run");
  REQUIRE_FALSE(run.ok());
  CHECK(run.error().code == ExitCode::kCheckpoint);
  CHECK(run.error().message.find("/file") != std::string::npos);
}

}  // namespace mdgan::test
