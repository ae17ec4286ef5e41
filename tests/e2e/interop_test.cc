// A peer in Python, written from PROTOCOL.md, beside ours in a real training.
#include <nlohmann/json.hpp>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/small_run.h"

using namespace mdgan::test;

TEST_CASE("a Python peer trains and swaps beside C++ peers") {
  const SmallRun t;
  auto server = t.server(
      "run", {"--bind", "tcp://127.0.0.1:*", "--min-peers", "3", "--rounds",
              "60", "--condition", "acgan", "--r1", "0.1"});
  const std::string endpoint = t.endpoint("run");
  auto a = t.peer("run", 0, 3);
  auto b = t.peer("run", 1, 3);
  auto python =
      t.tool({"/usr/bin/python3", MDGAN_SOURCE_DIR "/tests/interop/peer.py",
              "--server", endpoint, "--data", (t / "data").string(), "--shard",
              "2/3", "--name", "python"},
             "python.out");
  const auto code = server.wait();
  INFO(server.output());
  INFO(python.output());
  REQUIRE(code == 0);
  CHECK(a.wait() == 0);
  CHECK(b.wait() == 0);
  REQUIRE(python.wait() == 0);
  CHECK(t.peers("run") == 3);
  CHECK(t.log("run").find("aborted") == std::string::npos);
  std::string report = python.output();
  report = report.substr(report.rfind('{'));
  const auto said = nlohmann::json::parse(report);
  CHECK(said.at("rounds") == 60);
  CHECK(said.at("swaps_sent") >= 9);
  CHECK(said.at("swaps_received") >= 9);
}
