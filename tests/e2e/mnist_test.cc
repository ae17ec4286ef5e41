// The paper's model on the real MNIST, when its folder is given.
#include <cstdlib>
#include <string>

#include "tests/support/catch.h"
#include "tests/support/process_run.h"

namespace mdgan::test {

TEST_CASE(
    "the paper's MLP trains on MNIST and gives the same generator twice") {
  const char* const data = std::getenv("MDGAN_MNIST_DIR");
  if (data == nullptr) {
    WARN("skipped: set MDGAN_MNIST_DIR to a folder with MNIST's files");
    return;
  }
  const ProcessRun t;
  for (const std::string run : {"a", "b"}) {
    auto server = t.server(
        run, {"--config", MDGAN_SOURCE_DIR "/configs/mnist-mlp-paper.ini",
              "--data", data, "--local-peers", "10", "--rounds", "15",
              "--swap-epochs", "0.01"});
    const auto code = server.wait();
    INFO(server.output());
    REQUIRE(code == 0);
  }
  // The label embedding's 1,000 parameters are counted apart by the paper.
  CHECK(
      t.log("a").find("generator has 717560 parameters, a peer keeps 670219") !=
      std::string::npos);
  CHECK(t.log("a").find("swap after round 6 among 10 peers") !=
        std::string::npos);
  CHECK((t.weights("a") == t.weights("b")));
}

}  // namespace mdgan::test
