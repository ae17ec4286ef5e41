// The other algorithms in real processes: the same result in every arrangement,
// like MD-GAN.
#include <nlohmann/json.hpp>

#include <csignal>
#include <sstream>

#include "tests/support/catch.h"
#include "tests/support/process_run.h"
#include "tests/support/text_file.h"

namespace mdgan::test {
namespace {

std::vector<nlohmann::json> stats_of(const ProcessRun& t,
                                     const std::string& run) {
  std::istringstream lines(read_text(t / run / "stats.jsonl"));
  std::vector<nlohmann::json> records;
  for (std::string line; std::getline(lines, line);)
    records.push_back(nlohmann::json::parse(line));
  return records;
}

}  // namespace

TEST_CASE("fl-gan and data-parallel: one run over tcp, local, and resumed") {
  const ProcessRun t;
  const std::string name = GENERATE("fl-gan", "data-parallel");
  INFO(name);
  const std::vector<std::string> algorithm{"--algorithm", name};
  const std::vector<std::string> local{"--local-peers", "3", "--data",
                                       (t / "data").string()};
  auto server =
      t.server("tcp", algorithm + Words{"--bind", "tcp://127.0.0.1:*",
                                        "--min-peers", "3", "--rounds", "20"});
  std::vector<ChildProcess> peers;
  for (std::uint32_t i = 0; i < 3; ++i) peers.push_back(t.peer("tcp", i, 3));
  const auto code = server.wait();
  INFO(server.output());
  REQUIRE(code == 0);
  for (ChildProcess& peer : peers) CHECK(peer.wait() == 0);

  auto whole = t.server("whole", algorithm + local + Words{"--rounds", "20"});
  REQUIRE(whole.wait() == 0);
  CHECK((t.weights("whole") == t.weights("tcp")));
  CHECK(t.log("whole").find("swap after") == std::string::npos);

  // A part that ends where fl-gan averages: 18 is a multiple of 6.
  auto first = t.server("parts", algorithm + local + Words{"--rounds", "18"});
  REQUIRE(first.wait() == 0);
  auto second = t.tool({MDGAN_SERVER, "train", "--resume",
                        (t / "parts").string(), "--rounds", "20"},
                       "second.log");
  REQUIRE(second.wait() == 0);
  CHECK((t.weights("parts") == t.weights("whole")));
  const auto stats = stats_of(t, "parts");
  REQUIRE_FALSE(stats.empty());
  CHECK(stats.back().at("round") == 20);

  // A run has one algorithm.
  auto other =
      t.tool({MDGAN_SERVER, "train", "--resume", (t / "parts").string(),
              "--rounds", "30", "--algorithm", "md-gan"},
             "other.log");
  CHECK(other.wait() == 3);

  auto picture =
      t.tool({MDGAN_SERVER, "sample", "--run", (t / "whole").string(),
              "--count", "4", "--out", (t / "grid.png").string()},
             "sample.log");
  CHECK(picture.wait() == 0);
}

TEST_CASE("standalone is md-gan with one peer, and sends nothing") {
  const ProcessRun t;
  const std::vector<std::string> common{"--rounds", "10", "--data",
                                        (t / "data").string()};
  auto alone = t.server("alone", Words{"--algorithm", "standalone"} + common);
  REQUIRE(alone.wait() == 0);
  auto one = t.server("one", Words{"--local-peers", "1", "--k", "1"} + common);
  REQUIRE(one.wait() == 0);
  CHECK((t.weights("alone") == t.weights("one")));
  for (const auto& record : stats_of(t, "alone"))
    CHECK(record.at("bytes_sent") == 0);
  for (const auto& record : stats_of(t, "one"))
    CHECK(record.at("bytes_sent") > 0);
}

TEST_CASE("fl-gan goes on when a peer is killed") {
  const ProcessRun t;
  auto server = t.server(
      "run", {"--algorithm", "fl-gan", "--bind", "tcp://127.0.0.1:*",
              "--min-peers", "3", "--rounds", "900", "--stats-every", "6"});
  std::vector<ChildProcess> peers;
  for (std::uint32_t i = 0; i < 3; ++i) peers.push_back(t.peer("run", i, 3));
  REQUIRE(eventually([&] { return t.round("run") >= 60; }));
  peers[1].signal(SIGKILL);
  const auto code = server.wait();
  INFO(server.output());
  REQUIRE(code == 0);
  CHECK(stats_of(t, "run").back().at("round") == 900);
  CHECK(stats_of(t, "run").back().at("peers") == 2);
}

}  // namespace mdgan::test
