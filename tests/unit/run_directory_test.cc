#include "server/run/run_directory.h"

#include <unistd.h>

#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/text_file.h"

namespace fs = std::filesystem;
using namespace mdgan;
using mdgan::test::read_text;

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
