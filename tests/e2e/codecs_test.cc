// Real processes with small codecs: the same run in every arrangement, and the
// bytes that they save.
#include <nlohmann/json.hpp>

#include <cstdint>
#include <sstream>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/process_run.h"
#include "tests/support/text_file.h"

namespace mdgan::test {
namespace {

const std::vector<std::string> kSmall{"--image-codec",    "uint8",
                                      "--feedback-codec", "int8",
                                      "--swap-codec",     "bfloat16"};

// A run with three peer processes.
void train_over_tcp(const ProcessRun& t, const std::string& run,
                    const std::vector<std::string>& more) {
  auto server = t.server(run, Words{"--bind", "tcp://127.0.0.1:*",
                                    "--min-peers", "3", "--rounds", "20"} +
                                  more);
  std::vector<ChildProcess> peers;
  for (std::uint32_t i = 0; i < 3; ++i)
    peers.push_back(
        t.peer(run, i, 3, {"--state-dir", (t / (run + "-state")).string()}));
  const auto code = server.wait();
  INFO(server.output());
  REQUIRE(code == 0);
  for (ChildProcess& peer : peers) CHECK(peer.wait() == 0);
  CHECK(t.log(run).find("swap after round 6 among 3 peers") !=
        std::string::npos);
  CHECK(t.log(run).find("aborted") == std::string::npos);
}

// All the bytes between server and peers that stats.jsonl tells of.
std::uint64_t bytes_of(const ProcessRun& t, const std::string& run) {
  std::istringstream lines(read_text(t / run / "stats.jsonl"));
  std::uint64_t bytes = 0;
  for (std::string line; std::getline(lines, line);) {
    const auto record = nlohmann::json::parse(line);
    bytes += record.at("bytes_sent").get<std::uint64_t>() +
             record.at("bytes_received").get<std::uint64_t>();
  }
  return bytes;
}

}  // namespace

TEST_CASE(
    "small codecs: one run over tcp and within a process, 27 % of bytes") {
  const ProcessRun t;
  write_bars(t / "data", 400, 28);  // as large as the paper's MNIST images
  train_over_tcp(t, "exact", {});
  train_over_tcp(t, "small", kSmall);
  const double ratio = static_cast<double>(bytes_of(t, "small")) /
                       static_cast<double>(bytes_of(t, "exact"));
  CHECK(ratio <= 0.27);
  CHECK(ratio > 0.2);

  auto local =
      t.server("local", kSmall + Words{"--rounds", "20", "--local-peers", "3",
                                       "--data", (t / "data").string()});
  REQUIRE(local.wait() == 0);
  CHECK((t.weights("small") == t.weights("local")));
  CHECK((t.weights("small") != t.weights("exact")));
}

TEST_CASE("a resumed run keeps its codecs and its result") {
  const ProcessRun t;
  const std::vector<std::string> common =
      kSmall + Words{"--local-peers", "2", "--data", (t / "data").string()};
  auto whole = t.server("whole", common + Words{"--rounds", "14"});
  REQUIRE(whole.wait() == 0);
  auto first = t.server("parts", common + Words{"--rounds", "7"});
  REQUIRE(first.wait() == 0);
  auto second =
      t.server("parts", {"--resume", (t / "parts").string(), "--rounds", "14"});
  REQUIRE(second.wait() == 0);
  CHECK(read_text(t / "parts" / "config.ini").find("feedback-codec = int8") !=
        std::string::npos);
  CHECK((t.weights("parts") == t.weights("whole")));
}

}  // namespace mdgan::test
