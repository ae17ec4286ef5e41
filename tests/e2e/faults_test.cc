// Faults of peers, files, clocks and memory, with real processes; each case is
// named after its row of FAULTS.md.
#include <signal.h>
#include <stdlib.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "common/net/channel.h"
#include "protocol/limits.h"
#include "tests/support/catch.h"
#include "tests/support/contains.h"
#include "tests/support/cutting_proxy.h"
#include "tests/support/process_run.h"
#include "tests/support/silent_connections.h"
#include "tests/support/text_file.h"

namespace mdgan::test {

namespace fs = std::filesystem;

namespace {

std::vector<std::string> endless(std::uint32_t min_peers,
                                 const std::vector<std::string>& more = {}) {
  std::vector<std::string> arguments{
      "--bind",      "tcp://127.0.0.1:*",      "--rounds",
      "10000000",    "--checkpoint-every",     "5",
      "--min-peers", std::to_string(min_peers)};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

bool advances(const ProcessRun& t, const std::string& run,
              std::uint64_t rounds) {
  const auto before = t.round(run);
  return eventually([&] { return t.round(run) >= before + rounds; });
}

nlohmann::json member(const ProcessRun& t, const std::string& run,
                      const std::string& name) {
  const nlohmann::json status = t.status(run);
  if (status.is_object())
    for (const auto& peer : status.at("peers"))
      if (peer.at("name") == name) return peer;
  return {};
}

// The round of the newest checkpoint; 0: there is none.
std::uint64_t newest_checkpoint(const fs::path& run) {
  std::uint64_t newest = 0;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(run / "checkpoints", none))
    if (const std::string name = entry.path().filename().string();
        name.find_first_not_of("0123456789") == name.npos)
      newest = std::max<std::uint64_t>(newest, std::stoull(name));
  return newest;
}

// Set for the processes that are started meanwhile.
class EnvironmentVariable {
 public:
  EnvironmentVariable(const char* name, const char* value) : name_(name) {
    ::setenv(name, value, 1);
  }
  ~EnvironmentVariable() { ::unsetenv(name_); }
  EnvironmentVariable(const EnvironmentVariable&) = delete;
  EnvironmentVariable& operator=(const EnvironmentVariable&) = delete;

 private:
  const char* name_;
};

}  // namespace

TEST_CASE("fault 2: of a peer killed in mid-feedback nothing is used") {
  const ProcessRun t;
  // Feedback of 51 KB; its first half reaches the server.
  auto server = t.server("run", endless(2, {"--batch", "200", "--round-timeout",
                                            "3", "--k", "1"}));
  auto a = t.peer("run", 0, 2);
  CuttingProxy proxy(t.endpoint("run"));
  auto b = t.peer("run", 1, 2, {"--server", proxy.endpoint()});
  REQUIRE(eventually([&] { return t.round("run") > 3; }));
  proxy.cut_after(25'000);
  REQUIRE(eventually([&] { return proxy.is_cut(); }));
  b.signal(SIGKILL);
  REQUIRE(b.wait() == 128 + SIGKILL);
  CHECK(advances(t, "run", 5));
  CHECK(eventually([&] {
    const auto lost = member(t, "run", "peer-1");
    return lost.is_object() && lost.at("missed") > 0;
  }));
  CHECK(member(t, "run", "peer-0").at("missed") == 0);
  CHECK_FALSE(has(t.log("run"), "unreadable"));
  server.signal(SIGINT);
  CHECK(server.wait() == 0);
  CHECK(a.wait() == 0);
}

TEST_CASE("fault 6: a peer that is frozen is waited for once, and comes back") {
  const ProcessRun t;
  auto server = t.server(
      "run", endless(3, {"--round-timeout", "2", "--swap-timeout", "2"}));
  auto a = t.peer("run", 0, 3);
  auto b = t.peer("run", 1, 3);
  auto c = t.peer("run", 2, 3);
  REQUIRE(eventually([&] { return t.round("run") > 5; }));
  b.signal(SIGSTOP);
  REQUIRE(eventually([&] {
    const auto frozen = member(t, "run", "peer-1");
    return frozen.is_object() && frozen.at("missed") > 0;
  }));
  CHECK(advances(t, "run", 10));  // without it
  b.signal(SIGCONT);
  // Its late answer is discarded; then it takes part in the current rounds.
  CHECK(eventually([&] {
    const auto back = member(t, "run", "peer-1");
    return back.at("presence") == "live" && back.at("owes").is_null();
  }));
  const auto missed = member(t, "run", "peer-1").at("missed");
  CHECK(advances(t, "run", 20));
  CHECK(member(t, "run", "peer-1").at("missed") == missed);
  server.signal(SIGINT);
  CHECK(server.wait() == 0);
  for (ChildProcess* peer : {&a, &b, &c}) CHECK(peer->wait() == 0);
}

TEST_CASE("fault 21: a frame too large costs a peer its connection, not more") {
  const ProcessRun t;
  zmq::context_t context;
  zmq::socket_t router(context, zmq::socket_type::router);
  router.set(zmq::sockopt::linger, 0);
  router.bind("tcp://127.0.0.1:*");
  ChildProcess peer =
      t.tool({MDGAN_PEER, "--server", router.get(zmq::sockopt::last_endpoint),
              "--data", (t / "data").string(), "--state-dir",
              (t / "state").string(), "--connect-timeout", "40"},
             "peer");
  std::set<std::string> connections;
  // Each connection gets a frame beyond the limit; libzmq does not connect
  // again after that, so the peer has to make a new socket.
  const bool retried = eventually([&] {
    zmq::message_t id;
    zmq::message_t part;
    if (!router.recv(id, zmq::recv_flags::dontwait)) return false;
    while (id.more() && router.recv(part, zmq::recv_flags::none))
      if (!part.more()) break;
    const std::string connection = id.to_string();
    if (connections.insert(connection).second) {
      zmq::message_t large(protocol::kLongFrameBytes +
                           protocol::kFrameAllowance + 1);
      (void)router.send(zmq::buffer(connection), zmq::send_flags::sndmore);
      (void)router.send(large, zmq::send_flags::none);
    }
    return connections.size() >= 2;
  });
  CHECK(retried);
  CHECK(peer.running());
  // It gives up only when no word has come for its --connect-timeout.
  CHECK(peer.wait() == 5);
  CHECK(has(peer.output(), "no word from"));
}

TEST_CASE("fault 31: more connections than descriptors stop nobody") {
  ProcessRun t;
  auto server = t.server("run", endless(2), {"prlimit", "--nofile=160:160"});
  auto first = t.peer("run", 0, 3);
  auto second = t.peer("run", 1, 3);
  REQUIRE(advances(t, "run", 20));

  {
    const SilentConnections flood(t.endpoint("run"));
    REQUIRE(eventually([&] { return flood.made() > 600; }));
    const auto saved = newest_checkpoint(t / "run");
    CHECK(advances(t, "run", 100));
    CHECK(
        eventually([&] { return newest_checkpoint(t / "run") > saved + 20; }));
    CHECK(t.peers("run") == 2);
  }

  auto third = t.peer("run", 2, 3);
  CHECK(eventually([&] { return t.peers("run") == 3; }));
  const std::string log = t.log("run");
  std::size_t complaints = 0;
  for (auto at = log.find("connection is closed"); at != log.npos;
       at = log.find("connection is closed", at + 1))
    ++complaints;
  CHECK(complaints < 100);
  CHECK_FALSE(has(log, "Too many open files"));
  server.signal(SIGTERM);
  CHECK(server.wait() == 10);
}

TEST_CASE("fault 35: a peer follows its server to another address") {
  const ProcessRun t;
  auto first = t.server("run", endless(1));
  const std::string endpoint = t.endpoint("run");
  const std::string port = endpoint.substr(endpoint.rfind(':'));
  // A name service of the peer's own: a hosts file in a mount namespace.
  const fs::path hosts = t / "hosts";
  write_text(hosts, "127.0.0.1 moving.test\n");
  const std::string mount = "mount --bind '" + hosts.string() + "' /etc/hosts";
  auto probe = t.tool({"unshare", "-rm", "sh", "-c", mount}, "probe");
  if (probe.wait() != 0) {
    WARN("not run: this machine makes no mount namespace: " << probe.output());
    return;
  }
  ChildProcess peer =
      t.tool({"unshare", "-rm", "sh", "-c", mount + " && exec \"$0\" \"$@\"",
              MDGAN_PEER, "--server", "tcp://moving.test" + port, "--insecure",
              "--data", (t / "data").string(), "--name", "peer-0",
              "--state-dir", (t / "state").string()},
             "peer");
  REQUIRE(eventually([&] { return t.round("run") > 12; }));
  first.signal(SIGKILL);
  REQUIRE(first.wait() == 128 + SIGKILL);
  write_text(hosts, "127.0.0.2 moving.test\n");
  auto second = t.server("run", {"--resume", (t / "run").string(), "--bind",
                                 "tcp://127.0.0.2" + port});
  REQUIRE(eventually([&] { return t.endpoint("run") != endpoint; }));
  CHECK(eventually([&] {
    const auto found = member(t, "run", "peer-0");
    return found.is_object() && found.at("presence") == "live";
  }));
  CHECK(advances(t, "run", 5));
  CHECK(has(peer.output(), "lost the connection to tcp://moving.test" + port +
                               " (tcp://127.0.0.1" + port + ")"));
  second.signal(SIGINT);
  CHECK(second.wait() == 0);
  CHECK(peer.wait() == 0);
}

TEST_CASE("fault 41: data that does not suffice is found before joining") {
  const ProcessRun t;
  auto server = t.server("run", endless(1, {"--batch", "20"}));
  // 400 images in 30 shards are 13 or 14 each.
  auto small = t.peer("run", 3, 30);
  CHECK(small.wait() == 6);
  CHECK(has(small.output(), "fewer than a batch of 20"));
  CHECK(has(small.output(), (t / "data").string()));
  CHECK(has(t.log("run"),
            "refused peer peer-3 at 127.0.0.1: peer peer-3 has "
            "1"));
  REQUIRE(eventually([&] {
    const auto status = t.status("run");
    return status.is_object() && !status.at("refused").empty();
  }));
  const nlohmann::json status = t.status("run");
  CHECK(status.at("refused")[0].at("name") == "peer-3");
  CHECK(status.at("peers").empty());
  CHECK(eventually([&] {
    return t.status("run").at("waiting") ==
           "waiting for 1 of 1 peer: peer-3 (refused)";
  }));
  auto none = t.peer("run", 500, 501);
  CHECK(none.wait() == 6);
  CHECK(has(none.output(), "shard 500 of 501 is empty"));
  auto enough = t.peer("run", 0, 2);
  CHECK(eventually([&] { return t.round("run") > 3; }));
  server.signal(SIGINT);
  CHECK(server.wait() == 0);
  CHECK(enough.wait() == 0);

  // Local peers are refused before anything is done for them.
  for (const char* peers : {"65536", "40"}) {
    auto local = t.server("local", {"--local-peers", peers, "--data",
                                    (t / "data").string(), "--batch", "20"});
    CHECK(local.wait() == 6);
    CHECK(has(local.output(), (t / "data").string() + ": 400 images"));
    CHECK(has(local.output(), "fewer than a batch of 20"));
    fs::remove_all(t / "local");
  }
}

TEST_CASE("fault 42: data that vanishes during training stops nobody") {
  const ProcessRun t;
  auto server = t.server("run", endless(2));
  auto a = t.peer("run", 0, 2);
  auto b = t.peer("run", 1, 2);
  REQUIRE(eventually([&] { return t.round("run") > 3; }));
  fs::remove_all(t / "data");
  CHECK(advances(t, "run", 50));
  CHECK(t.peers("run") == 2);
  server.signal(SIGINT);
  CHECK(server.wait() == 0);
  CHECK(a.wait() == 0);
  CHECK(b.wait() == 0);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST_CASE("fault 46: a wall clock that jumps by days times nobody out") {
  const ProcessRun t;
  const EnvironmentVariable preload("LD_PRELOAD", MDGAN_WALL_CLOCK_JUMP);
  auto server = t.server("run", endless(2, {"--round-timeout", "30"}));
  auto a = t.peer("run", 0, 2);
  auto b = t.peer("run", 1, 2);
  // The log's times jump: lines of two days, to and fro.
  const auto days = [&] {
    std::set<std::string> found;
    std::istringstream lines(t.log("run"));
    for (std::string line; std::getline(lines, line);)
      found.insert(line.substr(0, 10));
    return found.size();
  };
  REQUIRE(eventually([&] { return t.round("run") > 20 && days() >= 2; }));
  CHECK(advances(t, "run", 100));
  for (const char* name : {"peer-0", "peer-1"}) {
    CHECK(member(t, "run", name).at("presence") == "live");
    CHECK(member(t, "run", name).at("missed") == 0);
  }
  server.signal(SIGINT);
  CHECK(server.wait() == 0);
  CHECK(a.wait() == 0);
  CHECK(b.wait() == 0);
  CHECK_FALSE(has(t.log("run"), "warning peer"));
  CHECK_FALSE(has(a.output(), "no word from"));
  CHECK_FALSE(has(b.output(), "no word from"));
}

TEST_CASE("fault 48: a server that runs out of memory can be resumed") {
  const ProcessRun t;
  auto server = t.server("run", endless(1));
  const std::string endpoint = t.endpoint("run");
  auto peer = t.peer("run", 0, 1);
  REQUIRE(eventually([&] { return t.round("run") > 12; }));
  // No page more than it has: the next allocation from the system fails.
  auto limit = t.tool({"prlimit", "--pid", std::to_string(server.pid()),
                       "--as=4096:4096", "--data=4096:4096"},
                      "limit");
  REQUIRE(limit.wait() == 0);
  // It dies of that, or a message or a checkpoint fails and it goes on.
  (void)eventually([&] { return !server.running(); }, std::chrono::seconds(5));
  server.signal(SIGKILL);
  CHECK(server.wait().value_or(0) != 0);
  const std::uint64_t rounds = t.round("run") + 20;
  auto second = t.server("run", {"--resume", (t / "run").string(), "--bind",
                                 endpoint, "--rounds", std::to_string(rounds)});
  CHECK(second.wait() == 0);
  CHECK(peer.wait() == 0);
  CHECK(t.round("run") == rounds);
  // It did not begin anew.
  CHECK(has(second.output(), "this run continues after round"));
  CHECK_FALSE(has(second.output(), "this run continues after round 0"));
}
#endif

}  // namespace mdgan::test
