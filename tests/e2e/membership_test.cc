// Peers and servers that come, die and come back, as real processes.
#include <signal.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/process_run.h"

namespace mdgan::test {

namespace fs = std::filesystem;

namespace {

const std::vector<std::string> kEndless{
    "--bind", "tcp://127.0.0.1:*", "--rounds", "10000000", "--checkpoint-every",
    "5",      "--round-timeout",   "20"};

std::vector<std::string> endless(std::uint32_t min_peers) {
  auto arguments = kEndless;
  arguments.insert(arguments.end(), {"--min-peers", std::to_string(min_peers)});
  return arguments;
}

bool says(const ProcessRun& t, const std::string& run,
          const std::string& text) {
  return t.log(run).find(text) != std::string::npos;
}

// The first so many peers, each with a third of the data.
std::vector<ChildProcess> start_peers(const ProcessRun& t,
                                      std::uint32_t count) {
  std::vector<ChildProcess> peers;
  for (std::uint32_t i = 0; i < count; ++i)
    peers.push_back(t.peer("run", i, 3));
  return peers;
}

void stop(ChildProcess& server, std::vector<ChildProcess>& peers) {
  server.signal(SIGTERM);
  CHECK(server.wait() == 10);
  for (ChildProcess& peer : peers) CHECK(peer.wait() == 10);
}

// The run of so many peers, after some rounds.
void train_and_stop(const ProcessRun& t, std::uint32_t count) {
  auto server = t.server("run", endless(count));
  auto peers = start_peers(t, count);
  REQUIRE(eventually([&] { return t.round("run") > 10; }));
  stop(server, peers);
}

// The same run again, with `more`.
ChildProcess resume(const ProcessRun& t, const std::vector<std::string>& more) {
  std::vector<std::string> arguments{"--resume", (t / "run").string(), "--bind",
                                     "tcp://127.0.0.1:*"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return t.server("run", arguments);
}

bool trains_with(const ProcessRun& t, std::uint32_t peers) {
  const auto status = t.status("run");
  return status.is_object() && status["state"] == "training" &&
         status["live"] == peers;
}

}  // namespace

TEST_CASE("a killed peer does not stop the run, and comes back by its name") {
  const ProcessRun t;
  auto server = t.server("run", endless(3));
  auto a = t.peer("run", 0, 3);
  auto b = t.peer("run", 1, 3);
  auto c = t.peer("run", 2, 3);
  REQUIRE(eventually([&] { return t.round("run") > 10; }));
  b.signal(SIGKILL);
  REQUIRE(b.wait() == 128 + SIGKILL);
  REQUIRE(eventually([&] { return t.peers("run") == 2; }));
  const auto without = t.round("run");
  REQUIRE(eventually([&] { return t.round("run") > without + 10; }));

  auto again = t.peer("run", 1, 3);
  REQUIRE(eventually([&] { return t.peers("run") == 3; }));
  const auto with = t.round("run");
  REQUIRE(eventually([&] { return t.round("run") > with + 10; }));
  server.signal(SIGINT);
  CHECK(server.wait() == 0);
  CHECK(a.wait() == 0);
  CHECK(c.wait() == 0);
  CHECK(again.wait() == 0);
}

TEST_CASE("a late joiner gets a copy of a live peer's discriminator") {
  const ProcessRun t;
  auto server = t.server("run", endless(2));
  auto a = t.peer("run", 0, 3);
  auto b = t.peer("run", 1, 3);
  REQUIRE(eventually([&] { return t.round("run") > 10; }));
  auto late = t.peer("run", 2, 3);
  REQUIRE(eventually([&] { return t.peers("run") == 3; }));
  CHECK(says(t, "run", "peer 2 (peer-2) has a copy of peer "));
  const auto round = t.round("run");
  REQUIRE(eventually([&] { return t.round("run") > round + 10; }));
  server.signal(SIGTERM);
  CHECK(server.wait() == 10);
  CHECK(late.wait() == 10);
  CHECK(late.output().find("leaves after 0 rounds") == std::string::npos);
}

TEST_CASE(
    "fault 50: a run of two goes on with three, one of them with a copy") {
  const ProcessRun t;
  train_and_stop(t, 2);
  const auto stopped = t.round("run");
  auto server = resume(t, {"--min-peers", "3"});
  auto peers = start_peers(t, 3);
  REQUIRE(eventually([&] { return t.round("run") > stopped + 10; }));
  CHECK(t.peers("run") == 3);
  CHECK(says(t, "run", "peer 2 (peer-2) has a copy of peer "));
  CHECK(says(t, "run", "training starts with 3 peers"));
  CHECK_FALSE(says(t, "run", "starts with a fresh discriminator"));
  CHECK(eventually([&] { return trains_with(t, 3); }));
  stop(server, peers);
}

TEST_CASE("fault 50: a run of three goes on with two where one stays away") {
  const ProcessRun t;
  train_and_stop(t, 3);
  const auto stopped = t.round("run");
  // So long it waits for all three, then the quorum will do.
  auto server = resume(t, {"--quorum-timeout", "3"});
  auto peers = start_peers(t, 2);
  REQUIRE(eventually([&] { return t.round("run") > stopped + 10; }));
  CHECK(t.peers("run") == 2);
  CHECK(says(t, "run", " of 3 peers came back; from now on 2 will do"));
  CHECK(says(t, "run", "training starts with 2 peers"));
  CHECK(eventually([&] { return trains_with(t, 2); }));
  const auto status = t.status("run");
  CHECK(status["needed"] == 2);
  CHECK(status["peers"][2]["name"] == "peer-2");
  CHECK(status["peers"][2]["presence"] == "absent");
  stop(server, peers);
}

TEST_CASE("peers find a killed server again when it resumes") {
  const ProcessRun t;
  auto first = t.server("run", endless(2));
  const std::string endpoint = t.endpoint("run");
  auto a = t.peer("run", 0, 2);
  auto b = t.peer("run", 1, 2);
  REQUIRE(eventually([&] { return t.round("run") > 12; }));
  first.signal(SIGKILL);
  REQUIRE(first.wait() == 128 + SIGKILL);
  auto second =
      t.server("run", {"--resume", (t / "run").string(), "--bind", endpoint});
  REQUIRE(eventually(
      [&] { return says(t, "run", "this run continues after round"); }));
  const auto resumed = t.round("run");
  REQUIRE(eventually([&] { return t.round("run") > resumed + 10; }));
  second.signal(SIGINT);
  CHECK(second.wait() == 0);
  CHECK(a.wait() == 0);
  CHECK(b.wait() == 0);
}

TEST_CASE(
    "the second of two peers with one name is refused, the first goes on") {
  const ProcessRun t;
  auto server = t.server("run", endless(1));
  auto first = t.peer("run", 0, 2);
  REQUIRE(eventually([&] { return t.round("run") > 2; }));
  auto second = t.peer("run", 0, 2);
  REQUIRE(eventually([&] {
    return second.output().find("a live peer is named peer-0") !=
           std::string::npos;
  }));
  const auto round = t.round("run");
  REQUIRE(eventually([&] { return t.round("run") > round + 10; }));
  CHECK(first.running());
  server.signal(SIGINT);
  CHECK(server.wait() == 0);
}

TEST_CASE("a second Ctrl-C ends at once, and the run can still be resumed") {
  const ProcessRun t;
  auto server = t.server("run", endless(1));
  auto peer = t.peer("run", 0, 1);
  // Rounds go on while the checkpoint of the fifth is written.
  REQUIRE(eventually(
      [&] { return fs::exists(t / "run" / "checkpoints" / "00000005"); }));
  peer.signal(SIGSTOP);  // the round cannot be finished
  server.signal(SIGINT);
  REQUIRE(eventually([&] { return says(t, "run", "stopping"); }));
  // One that comes within two seconds is the same.
  REQUIRE(eventually([&] {
    server.signal(SIGINT);
    return !server.running();
  }));
  CHECK(server.wait() == 128 + SIGINT);
  auto resumed = t.server(
      "run", {"--resume", (t / "run").string(), "--bind", "tcp://127.0.0.1:*"});
  CHECK(eventually(
      [&] { return says(t, "run", "this run continues after round"); }));
  resumed.signal(SIGINT);
  CHECK(resumed.wait() == 0);
}

TEST_CASE("what cannot work ends with its exit code and says what to do") {
  const ProcessRun t;
  const auto code_of = [&](std::vector<std::string> arguments,
                           const std::string& says_this) {
    auto process = t.tool(arguments, "tool.out");
    const auto code = process.wait();
    INFO(process.output());
    CHECK(process.output().find(says_this) != std::string::npos);
    return code;
  };
  const std::string data = (t / "data").string();
  CHECK(code_of({MDGAN_SERVER, "train", "--ruonds", "3"}, "rounds") == 2);
  CHECK(code_of({MDGAN_PEER, "--server", "tcp://127.0.0.1:1", "--data", data,
                 "--connect-timeout", "1"},
                "is the server running") == 5);
  CHECK(code_of({MDGAN_PEER, "--server", "tcp://127.0.0.1:1", "--data",
                 (t / "nothing").string()},
                "nothing") == 6);
  CHECK(code_of({MDGAN_SERVER, "train", "--local-peers", "2", "--data", data,
                 "--model", "mnist-cnn", "--image", "1x9x9", "--run-dir",
                 (t / "bad").string()},
                "image") == 3);
  CHECK(code_of({MDGAN_SERVER, "sample", "--run", data}, "config.ini") == 7);

  auto server = t.server("run", endless(2));
  auto good = t.peer("run", 0, 2);
  REQUIRE(eventually([&] { return says(t, "run", "joined"); }));
  write_bars(t / "larger", 100, 12);
  auto other = t.peer("run", 1, 2, {"--data", (t / "larger").string()});
  CHECK(other.wait() == 3);
  CHECK(other.output().find("1x12x12") != std::string::npos);
}

}  // namespace mdgan::test
