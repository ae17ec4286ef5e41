// What a run survives, with the real programs: kills at every step of its
// files' writing, a full disk, and damaged checkpoints.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/contains.h"
#include "tests/support/durable_run.h"
#include "tests/support/failpoint.h"
#include "tests/support/process_run.h"
#include "tests/support/text_file.h"

namespace mdgan::test {

namespace fs = std::filesystem;

namespace {

// The rounds of the checkpoints that are complete, ascending.
std::vector<std::uint64_t> checkpoints_of(const fs::path& run) {
  std::vector<std::uint64_t> rounds;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(run / "checkpoints", none)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(".")) rounds.push_back(std::stoull(name));
  }
  std::ranges::sort(rounds);
  return rounds;
}

// The newest that a server has reported; 0 before the first.
std::uint64_t reported_checkpoint(const fs::path& run) {
  std::uint64_t newest = 0;
  if (!fs::exists(run / "events.jsonl")) return newest;
  std::istringstream lines(read_text(run / "events.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    // The last one may be there in part.
    const auto event = nlohmann::json::parse(line, nullptr, false);
    if (event.is_object() && event.at("event") == "checkpoint")
      newest = std::max(newest, event.at("round").get<std::uint64_t>());
  }
  return newest;
}

// The number of the start that was the last to write it.
std::uint64_t incarnation_of(const fs::path& run) {
  return std::stoull(read_text(run / "incarnation"));
}

void flip_a_bit(const fs::path& file) {
  std::string bytes = read_text(file);
  const std::size_t middle = bytes.size() / 2;
  bytes[middle] = static_cast<char>(bytes[middle] ^ 1);
  write_text(file, bytes);
}

// Whether SIGSTOP has reached it: no thread of it runs.
bool has_stopped(const ChildProcess& process) {
  siginfo_t info{};  // WNOWAIT: it can be asked again
  return ::waitid(P_PID, static_cast<id_t>(process.pid()), &info,
                  WSTOPPED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == process.pid();
}

// Kills the server at the first and some later passings of `point`, and goes on
// by the same command.
void survives(const std::string& point) {
  const ProcessRun t;
  REQUIRE(t.server("whole", local(t)).wait() == 0);
  const std::string expected = t.weights("whole");
  int kills = 0;
  for (const int count : {1, 2, 5, 16}) {
    const std::string run = "run" + std::to_string(count);
    INFO(point << ":" << count);
    {
      const Failpoint failpoint(point + ":" + std::to_string(count));
      const auto code = t.server(run, local(t)).wait();
      if (code == 0) break;  // it does not pass there so many times
      REQUIRE(code == 128 + SIGKILL);
    }
    ++kills;
    const bool goes_on = !checkpoints_of(t / run).empty();
    auto again = t.server(run, local(t));
    const auto code = again.wait();
    INFO(again.output());
    REQUIRE(code == 0);
    CHECK((again.output().find("this run continues after round") !=
           std::string::npos) == goes_on);
    CHECK(rounds_in(t / run / "stats.jsonl") == up_to(kRounds));
    CHECK(t.weights(run) == expected);
  }
  CHECK(kills > 0);
}

}  // namespace

TEST_CASE("fault 33: a server killed where it makes a file goes on") {
  survives(GENERATE(as<std::string>(), "before-create", "after-create"));
}
TEST_CASE("fault 33: a server killed where it writes goes on") {
  survives(GENERATE(as<std::string>(), "before-write", "after-write"));
}
TEST_CASE("fault 33: a server killed where it syncs goes on") {
  survives(GENERATE(as<std::string>(), "before-sync", "after-sync"));
}
TEST_CASE("fault 33: a server killed where it renames goes on") {
  survives(GENERATE(as<std::string>(), "before-rename", "after-rename"));
}
TEST_CASE("fault 33: a server killed where it appends goes on") {
  survives(GENERATE(as<std::string>(), "before-append@stats.jsonl",
                    "after-append@stats.jsonl", "before-append@events.jsonl",
                    "after-append@events.jsonl", "after-append@log.txt"));
}
TEST_CASE("fault 33: a server killed where it removes goes on") {
  survives(GENERATE(as<std::string>(), "before-remove", "after-remove"));
}

TEST_CASE("fault 33: a resumed run that is killed where it begins goes on") {
  const ProcessRun t;
  REQUIRE(t.server("whole", local(t)).wait() == 0);
  {
    const Failpoint failpoint("after-append@stats.jsonl:5");
    REQUIRE(t.server("killed", local(t)).wait() == 128 + SIGKILL);
  }
  // A start has two files to cut: this one has a round of which there is no
  // checkpoint, ...
  REQUIRE(t.round("killed") == 5);
  // ... and this one gets a line without an end.
  const fs::path events = t / "killed" / "events.jsonl";
  write_text(events, read_text(events) + "{\"time\"");
  int kills = 0;
  // In the order in which a start comes by them: what is before the one is
  // what is after the one before.
  for (const char* const point :
       {"before-rename@incarnation", "before-rename@stats.jsonl",
        "before-rename@events.jsonl", "before-rename@partition.json",
        "before-rename@config.ini", "after-rename@config.ini"}) {
    INFO(point);
    const std::string run = "run" + std::to_string(++kills);
    fs::copy(t / "killed", t / run, fs::copy_options::recursive);
    {
      const Failpoint failpoint(point);
      REQUIRE(t.server(run, local(t)).wait() == 128 + SIGKILL);
    }
    const auto last = incarnation_of(t / run);
    auto again = t.server(run, local(t));
    const auto code = again.wait();
    INFO(again.output());
    REQUIRE(code == 0);
    CHECK(continued_after(again) < 5);
    CHECK(rounds_in(t / run / "stats.jsonl") == up_to(kRounds));
    CHECK_NOTHROW(rounds_in(t / run / "events.jsonl"));  // whole lines
    CHECK(incarnation_of(t / run) > last);
    CHECK((t.weights(run) == t.weights("whole")));
  }
}

TEST_CASE("fault 38: a damaged newest checkpoint is named and passed over") {
  const ProcessRun t;
  const auto longer = local(t) + Words{"--rounds", "9"};
  REQUIRE(t.server("whole", longer).wait() == 0);
  REQUIRE(t.server("run", local(t)).wait() == 0);
  const auto saved = checkpoints_of(t / "run");
  REQUIRE(saved.size() > 1);
  REQUIRE(saved.back() == kRounds);
  const auto before = saved[saved.size() - 2];
  for (const char* const part :
       {"state.safetensors", "meta.json", "manifest.json"}) {
    INFO(part);
    const std::string run = std::string("damaged-") + part;
    fs::copy(t / "run", t / run, fs::copy_options::recursive);
    const fs::path damaged = t / run / "checkpoints" / "00000006";
    flip_a_bit(damaged / part);
    auto server = t.server(run, longer);
    const auto code = server.wait();
    INFO(server.output());
    REQUIRE(code == 0);
    CHECK(t.log(run).find("warning checkpoint of round 6 cannot be used: " +
                          damaged.string()) != std::string::npos);
    CHECK(continued_after(server) == before);
    CHECK(rounds_in(t / run / "stats.jsonl") == up_to(9));
    CHECK((t.weights(run) == t.weights("whole")));
  }
}

TEST_CASE("fault 32: a kill costs at most the rounds between checkpoints") {
  const ProcessRun t;
  auto first = t.server("run", of_both("tcp://127.0.0.1:*"));
  const std::string endpoint = t.endpoint("run");
  auto a = t.peer("run", 0, 2);
  auto b = t.peer("run", 1, 2);
  // It is held while a checkpoint is due, for one that is still being written
  // after a second puts off the next; and at the end, so that none is due.
  REQUIRE(eventually([&] {
    const bool is_held = has_stopped(b);
    const auto round = t.round("run");  // one more may be under way
    const bool is_due = round >= reported_checkpoint(t / "run") + kEvery;
    const bool is_over = round > 2 * kEvery;
    if (is_held && is_over && !is_due) return true;
    b.signal(is_over || is_due ? SIGSTOP : SIGCONT);
    return false;
  }));
  first.signal(SIGKILL);
  REQUIRE(first.wait() == 128 + SIGKILL);
  const auto reached = t.round("run");
  const auto saved = checkpoints_of(t / "run");
  auto second = t.server("run", of_both(endpoint));
  b.signal(SIGCONT);
  REQUIRE(eventually([&] {
    const auto status = t.status("run");
    return status.is_object() && status["round"] > reached;
  }));
  second.signal(SIGTERM);
  CHECK(second.wait() == 10);
  const auto after = continued_after(second);
  CHECK(after > 0);
  CHECK(after == saved.back());
  CHECK(reached <= after + kEvery);
  CHECK(a.wait() == 10);
  CHECK(b.wait() == 10);
}

TEST_CASE("fault 32: peers of a killed server go on by one command") {
  const ProcessRun t;
  const auto command = [](const std::string& endpoint) {
    return kEndless + Words{"--bind", endpoint};
  };
  auto first = t.server("run", kEndless);
  const std::string endpoint = t.endpoint("run");
  auto a = t.peer("run", 0, 2);
  auto b = t.peer("run", 1, 2);
  REQUIRE(eventually([&] { return t.round("run") > 2; }));
  first.signal(SIGKILL);  // before a checkpoint of a round that it trained
  REQUIRE(first.wait() == 128 + SIGKILL);
  for (int i = 0; i < 2; ++i) {
    const auto before = t.round("run");
    auto next = t.server("run", command(endpoint));
    // Peers that have not found it would not hear it say goodbye: it has
    // trained with them when it has saved rounds of its own.
    REQUIRE(eventually([&] {
      const auto status = t.status("run");
      return !status.is_null() && status["round"] > before + 60;
    }));
    next.signal(i == 0 ? SIGKILL : SIGTERM);
    CHECK(next.wait() == (i == 0 ? 128 + SIGKILL : 10));
    CHECK(next.output().find("this run continues after round") !=
          std::string::npos);
  }
  CHECK(a.wait() == 10);
  CHECK(b.wait() == 10);
}

TEST_CASE("fault 36: a last checkpoint that is not there ends with 7") {
  const ProcessRun t;
  const Failpoint full("before-rename@run/checkpoints/0:2+=ENOSPC");
  auto server = t.server("run", local(t));
  CHECK(server.wait() == 7);
  INFO(server.output());
  CHECK(server.output().find("the next attempt is within a minute") !=
        std::string::npos);
  CHECK(server.output().find("its last checkpoint is missing") !=
        std::string::npos);
  CHECK(server.output().find("NOT SAVED") != std::string::npos);
  CHECK(t.round("run") == kRounds);  // and it ended nothing before
  CHECK(t.status("run")["checkpoints_failed"] == 3);
  const std::string stats = read_text(t / "run" / "stats.jsonl");
  const auto last = nlohmann::json::parse(
      stats.substr(stats.rfind('\n', stats.size() - 2) + 1));
  CHECK(last["round"] == kRounds);
  CHECK(last["checkpoints_failed"] >= 1);
  ::unsetenv("MDGAN_FAILPOINT");
  auto again = t.server("run", local(t));
  CHECK(again.wait() == 0);
}

TEST_CASE("fault 36: a peer whose last checkpoint is not there ends with 7") {
  const ProcessRun t;
  auto server = t.server("run", {"--bind", "tcp://127.0.0.1:*", "--rounds",
                                 std::to_string(kRounds), "--min-peers", "2"});
  auto a = t.peer("run", 0, 2);
  auto b = [&] {
    const Failpoint full("before-rename@state/peer-1/:1+=ENOSPC");
    return t.peer("run", 1, 2);
  }();
  CHECK(server.wait() == 0);
  CHECK(a.wait() == 0);
  CHECK(b.wait() == 7);
  INFO(b.output());
  CHECK(b.output().find("its last checkpoint is missing") != std::string::npos);
}

TEST_CASE("fault 37: a disk that takes no first checkpoint is no start") {
  const ProcessRun t;
  const std::string error = GENERATE("ENOSPC", "EIO");
  {
    const Failpoint full("before-sync@checkpoints=" + error);
    auto server = t.server("run", local(t));
    CHECK(server.wait() == 7);
    CHECK(t.round("run") == 0);
  }
  CHECK(t.server("run", local(t)).wait() == 0);
}

TEST_CASE("fault 37: a file that hangs stops no round") {
  const ProcessRun t;
  const std::string point =
      GENERATE(as<std::string>(), "before-append@log.txt:4",
               "before-append@stats.jsonl:2", "before-create@status.json:9",
               "before-sync@/checkpoints/:8");
  INFO(point);
  const Failpoint hang(point + "=hang");
  auto server = t.server(
      "run", local(t) + Words{"--rounds", "1000000", "--stats-every", "1"});
  const bool by_status = point.find("status.json") == point.npos;
  REQUIRE(eventually([&] {
    if (!by_status) return t.round("run") > 100;
    const auto status = t.status("run");
    return status.is_object() && status["round"] > 100;
  }));
  server.signal(SIGKILL);
  CHECK(server.wait() == 128 + SIGKILL);
}

TEST_CASE("fault 36: a file system that is full for a while ends nothing") {
  const ProcessRun t;
  auto script =
      t.tool({"bash", MDGAN_SOURCE_DIR "/tests/e2e/full_disk.sh", MDGAN_SERVER,
              (t / "data").string(), (t / "disk").string()},
             "script.out");
  const auto code = script.wait(std::chrono::seconds(240));
  INFO(script.output());
  if (code == 77)
    WARN("skipped: " << script.output());
  else
    CHECK(code == 0);
}

TEST_CASE("a run whose folder was moved away ends with 7, and goes on there") {
  const ProcessRun t;
  const Words endless =
      local(t) + Words{"--rounds", "10000000", "--samples-every", "50"};
  auto server = t.server("run", endless);
  REQUIRE(eventually([&] { return t.round("run") > 20; }));
  fs::rename(t / "run", t / "moved");
  CHECK(eventually([&] {
    return server.output().find("older checkpoints are intact") !=
           std::string::npos;
  }));
  server.signal(SIGTERM);
  CHECK(server.wait() == 7);
  INFO(server.output());
  CHECK(
      contains(server.output(), {"its last checkpoint is missing",
                                 "is not the folder that this run began in"}));
  const auto saved = t.round("moved");
  CHECK(saved > 0);
  auto again = t.server(
      "moved", local(t) + Words{"--rounds", std::to_string(saved + 5)});
  CHECK(again.wait() == 0);
  CHECK(t.round("moved") == saved + 5);
}

TEST_CASE("a file of lines that was removed is made anew") {
  const ProcessRun t;
  auto server = t.server("run", local(t) + Words{"--rounds", "10000000"});
  REQUIRE(eventually([&] { return t.round("run") > 20; }));
  for (const char* file : {"stats.jsonl", "events.jsonl", "log.txt"})
    fs::remove(t / "run" / file);
  CHECK(eventually([&] { return t.round("run") > 20; }));
  server.signal(SIGTERM);
  CHECK(server.wait() == 10);
  for (const char* file : {"stats.jsonl", "events.jsonl", "log.txt"}) {
    INFO(file);
    CHECK(fs::exists(t / "run" / file));
  }
}

TEST_CASE("a local peer's checkpoint of another version is not gone without") {
  const ProcessRun t;
  REQUIRE(t.server("run", local(t)).wait() == 0);
  for (const auto& entry :
       fs::recursive_directory_iterator(t / "run" / "peers"))
    if (entry.path().filename() == "manifest.json") {
      auto manifest = nlohmann::json::parse(read_text(entry.path()));
      manifest["format_version"] = 99;
      write_text(entry.path(), manifest.dump());
    }
  auto server = t.server("run", local(t) + Words{"--rounds", "9"});
  CHECK(server.wait() == 7);
  INFO(server.output());
  CHECK(has(server.output(), "has the format 99"));
  CHECK(t.round("run") == 6);
}

TEST_CASE("a run whose samples were removed draws the next, and completes") {
  const ProcessRun t;
  REQUIRE(t.server("run", local(t)).wait() == 0);
  fs::remove_all(t / "run" / "samples");
  CHECK(t.server("run", local(t)).wait() == 0);  // it is complete
  auto more = local(t);
  CHECK(t.server("run", more + Words{"--rounds", "9"}).wait() == 0);
  CHECK(fs::exists(t / "run" / "samples" / "000009.png"));
}

}  // namespace mdgan::test
