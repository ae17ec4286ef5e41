// How runs end that are asked to, with the real programs: signals once and
// twice, peers that hang, and output that nobody reads.
#include <signal.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/durable_run.h"
#include "tests/support/failpoint.h"
#include "tests/support/process_run.h"
#include "tests/support/text_file.h"

namespace mdgan::test {

namespace fs = std::filesystem;

namespace {

// For how many seconds the peer of this id has owed an answer.
double owed_by(const ProcessRun& t, const std::string& run, std::size_t id) {
  const auto status = t.status(run);
  if (!status.is_object() || status.at("peers").size() <= id) return 0;
  const auto& owes = status.at("peers").at(id).at("owes");
  return owes.is_number() ? owes.get<double>() : 0;
}

// Whether the process, which is one of our programs by now, has a handler for
// the signal. Before, it is a copy of this one, with Catch2's handlers.
bool catches(int pid, int signal) {
  const fs::path proc = "/proc/" + std::to_string(pid);
  std::error_code gone;
  const std::string program =
      fs::read_symlink(proc / "exe", gone).filename().string();
  if (!program.starts_with("mdgan-")) return false;
  const std::string text = read_text(proc / "status");
  const std::size_t at = text.find("SigCgt:");
  if (at == std::string::npos) return false;
  const std::uint64_t caught = std::stoull(text.substr(at + 7), nullptr, 16);
  return ((caught >> (signal - 1)) & 1) != 0;
}

}  // namespace

TEST_CASE("fault 34: SIGTERM and SIGHUP save and end all with 10, Ctrl-C 0") {
  const int signal = GENERATE(SIGTERM, SIGHUP, SIGINT);
  const int code = signal == SIGINT ? 0 : 10;
  const ProcessRun t;
  auto server = t.server("run", kEndless);
  auto a = t.peer("run", 0, 2);
  auto b = t.peer("run", 1, 2);
  REQUIRE(eventually([&] { return t.round("run") > 3; }));
  server.signal(signal);
  server.signal(signal);  // at the same moment: the same one
  CHECK(server.wait() == code);
  CHECK(a.wait() == code);
  CHECK(b.wait() == code);
  CHECK(t.status("run")["exit"]["code"] == code);
  CHECK(t.status("run")["checkpoint"] == t.status("run")["round"]);
}

TEST_CASE("fault 34: who is stopped while it loads its images ends at once") {
  const int signal = GENERATE(SIGTERM, SIGINT);
  const ProcessRun t;
  const std::string data = (t / "data").string();
  std::vector<ChildProcess> starting;
  {
    const Failpoint hangs("before-read=hang");
    starting.push_back(t.tool({MDGAN_SERVER, "train", "--data", data,
                               "--run-dir", (t / "run").string()},
                              "server.out"));
    starting.push_back(t.tool({MDGAN_PEER, "--server", "tcp://127.0.0.1:9",
                               "--data", data, "--name", "a"},
                              "peer.out"));
  }
  for (ChildProcess& process : starting) {
    REQUIRE(eventually([&] { return catches(process.pid(), signal); }));
    process.signal(signal);
    CHECK(process.wait() == (signal == SIGINT ? 0 : 10));
  }
  CHECK_FALSE(fs::exists(t / "run"));
}

TEST_CASE("fault 34: a second SIGTERM ends at once, and the run goes on") {
  const ProcessRun t;
  auto server = t.server("run", of_both("tcp://127.0.0.1:*"));
  const std::string endpoint = t.endpoint("run");
  auto a = t.peer("run", 0, 2);
  auto b = t.peer("run", 1, 2);
  REQUIRE(eventually([&] { return t.round("run") > 3; }));
  b.signal(SIGSTOP);
  // The round that is under way cannot be finished.
  REQUIRE(eventually([&] { return owed_by(t, "run", 1) > 1; }));
  server.signal(SIGTERM);
  REQUIRE(eventually(
      [&] { return t.log("run").find("stopping") != std::string::npos; }));
  // A second one counts after two seconds, and after three the server ends in
  // good order. It is held meanwhile, so that a slow machine changes nothing.
  server.signal(SIGSTOP);
  const auto now = [] { return std::chrono::steady_clock::now(); };
  const auto counts = now() + std::chrono::milliseconds(2100);
  REQUIRE(eventually([&] { return now() > counts; }));
  server.signal(SIGTERM);
  server.signal(SIGCONT);
  CHECK(server.wait() == 143);
  const auto reached = t.round("run");

  auto again = t.server("run", of_both(endpoint));
  b.signal(SIGCONT);
  REQUIRE(eventually([&] {
    const auto status = t.status("run");
    return status.is_object() && status["round"] > reached;
  }));
  again.signal(SIGTERM);
  CHECK(again.wait() == 10);
  CHECK(continued_after(again) <= reached);
  CHECK(a.wait() == 10);
  CHECK(b.wait() == 10);
  const auto rounds = rounds_in(t / "run" / "stats.jsonl");
  CHECK((rounds == up_to(rounds.size())));
}

TEST_CASE("fault 34: a peer that is stopped by SIGTERM ends with 10") {
  const ProcessRun t;
  auto server = t.server("run", kEndless);
  auto a = t.peer("run", 0, 2);
  auto b = t.peer("run", 1, 2);
  REQUIRE(eventually([&] { return t.round("run") > 3; }));
  a.signal(SIGTERM);
  CHECK(a.wait() == 10);
  b.signal(SIGINT);
  CHECK(b.wait() == 0);
}

TEST_CASE("fault 34: a stop does not wait for a peer that hangs") {
  const ProcessRun t;
  auto server = t.server("run", kEndless);  // its rounds may take ten minutes
  auto a = t.peer("run", 0, 2);
  auto b = t.peer("run", 1, 2);
  REQUIRE(eventually([&] { return t.round("run") > 3; }));
  b.signal(SIGSTOP);
  const auto round = t.round("run");
  server.signal(SIGTERM);
  CHECK(server.wait() == 10);
  CHECK(t.status("run")["checkpoint"] >= round);
  CHECK(a.wait() == 10);
}

TEST_CASE("output that nobody reads stops neither training nor a stop") {
  const ProcessRun t;
  std::string command = std::string("{ ") + MDGAN_SERVER +
                        " train --stats-every 1 --samples-every 0 --run-dir " +
                        (t / "run").string() + " --data " +
                        (t / "data").string() +
                        " --local-peers 1 --rounds 1000000; echo $? > " +
                        (t / "code").string() + "; } 2>&1 | sleep 600";
  auto shell = t.tool({"sh", "-c", command}, "sh.out");
  const auto round = [&] { return t.round("run"); };
  // A pipe takes 64 KiB, and this program keeps as much.
  REQUIRE(eventually([&] { return round() > 3000; }));
  const auto status =
      nlohmann::json::parse(read_text(t / "run" / "status.json"));
  ::kill(status.at("pid").get<int>(), SIGTERM);
  REQUIRE(eventually([&] { return fs::exists(t / "code"); }));
  CHECK(eventually([&] { return read_text(t / "code") == "10\n"; }));
}

TEST_CASE("a peer's output that nobody reads stops nobody") {
  const ProcessRun t;
  auto server = t.server("run", {"--bind", "tcp://127.0.0.1:*", "--min-peers",
                                 "1", "--rounds", "300"});
  const std::string peer = std::string("{ ") + MDGAN_PEER + " --server " +
                           t.endpoint("run") + " --data " +
                           (t / "data").string() + "; echo $? > " +
                           (t / "code").string() + "; }";
  // A pipe that is full from the start.
  auto shell = t.tool(
      {"sh", "-c", "{ yes | head -c 65536; " + peer + "; } 2>&1 | sleep 600"},
      "sh.out");
  CHECK(server.wait() == 0);
  CHECK(eventually([&] { return fs::exists(t / "code"); }));
  CHECK(eventually([&] { return read_text(t / "code") == "0\n"; }));
}

}  // namespace mdgan::test
