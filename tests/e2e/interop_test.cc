// A peer in Python, written from PROTOCOL.md, beside ours in a real training.
#include <nlohmann/json.hpp>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/process_run.h"

namespace mdgan::test {
namespace {

// Two of ours and one in Python, with these codecs.
void train_together(const std::string& image, const std::string& feedback,
                    const std::string& swap) {
  const ProcessRun t;
  auto server = t.server(
      "run", {"--bind", "tcp://127.0.0.1:*", "--min-peers", "3", "--rounds",
              "60", "--condition", "acgan", "--r1", "0.1", "--image-codec",
              image, "--feedback-codec", feedback, "--swap-codec", swap});
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
  INFO(a.output() << b.output());
  INFO(python.output());
  REQUIRE(code == 0);
  CHECK(a.wait() == 0);
  CHECK(b.wait() == 0);
  REQUIRE(python.wait() == 0);
  CHECK(t.peers("run") == 3);
  CHECK(t.log("run").find("aborted") == std::string::npos);
  CHECK(t.log("run").find("is not used") == std::string::npos);
  std::string report = python.output();
  report = report.substr(report.rfind('{'));
  const auto said = nlohmann::json::parse(report);
  CHECK(said.at("rounds") == 60);
  CHECK(said.at("swaps_sent") >= 9);
  CHECK(said.at("swaps_received") >= 9);
}

}  // namespace

TEST_CASE("a Python peer trains and swaps beside C++ peers") {
  train_together("float32", "float32", "float32");
}

TEST_CASE("a Python peer speaks the codecs of the run") {
  SECTION("images as bytes, feedback as int8, discriminators as bfloat16") {
    train_together("uint8", "int8", "bfloat16");
  }
  SECTION("feedback as bfloat16") {
    train_together("float32", "bfloat16", "float32");
  }
}

}  // namespace mdgan::test
