// A model of a user's own, written in Python, in real processes beside its
// twin.
#include <csignal>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/contains.h"
#include "tests/support/process_run.h"
#include "tests/support/text_file.h"

namespace mdgan::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRounds = "200";

// The shipped example, for the images of ProcessRun.
fs::path write_model(const ProcessRun& t, const std::string& name,
                     const std::string& latent = "100") {
  const fs::path file = t / (name + ".pt");
  auto python = t.tool(
      {"/usr/bin/python3", MDGAN_SOURCE_DIR "/configs/models/mlp.py", "--image",
       "1x8x8", "--classes", "10", "--latent", latent, "--out", file.string()},
      name + ".log");
  const auto code = python.wait();
  INFO(python.output());
  REQUIRE(code == 0);
  return file;
}

// Two peers over TCP, to the end.
void train(const ProcessRun& t, const std::string& run,
           std::vector<std::string> server_options,
           const std::vector<std::string>& peer_options) {
  server_options.insert(server_options.end(),
                        {"--bind", "tcp://127.0.0.1:*", "--min-peers", "2",
                         "--condition", "acgan", "--rounds", kRounds});
  auto server = t.server(run, server_options);
  std::vector<ChildProcess> peers;
  for (std::uint32_t i = 0; i < 2; ++i)
    peers.push_back(t.peer(run, i, 2, peer_options));
  const auto code = server.wait();
  INFO(server.output());
  REQUIRE(code == 0);
  for (ChildProcess& peer : peers) CHECK(peer.wait() == 0);
}

std::vector<double> losses_of(const ProcessRun& t, const std::string& run) {
  std::istringstream lines(read_text(t / run / "stats.jsonl"));
  std::vector<double> losses;
  for (std::string line; std::getline(lines, line);) {
    const auto record = nlohmann::json::parse(line);
    for (const char* loss : {"d_loss", "g_loss"})
      losses.push_back(record.at(loss).get<double>());
  }
  return losses;
}

}  // namespace

TEST_CASE("a model of one's own trains like its twin, and is resumed") {
  const ProcessRun t;
  const fs::path file = write_model(t, "own");
  const std::string model = "script:" + file.string();
  train(t, "own", {"--model", model}, {"--model-file", file.string()});
  train(t, "twin", {"--model", "mlp"}, {});
  const auto own = losses_of(t, "own"), twin = losses_of(t, "twin");
  REQUIRE(own.size() == 400);
  REQUIRE(twin.size() == own.size());
  // The kernels for dense layers compute both.
  CHECK(own == twin);

  // In parts, by the run's own copy of the file, and with peers in the server.
  const std::vector<std::string> local{"--condition",   "acgan",
                                       "--local-peers", "2",
                                       "--data",        (t / "data").string()};
  auto options = local;
  options.insert(options.end(), {"--model", model, "--rounds", "120"});
  auto first = t.server("parts", options);
  const auto code = first.wait();
  INFO(first.output());
  REQUIRE(code == 0);
  fs::rename(file, t / "elsewhere.pt");
  auto second = t.tool({MDGAN_SERVER, "train", "--resume",
                        (t / "parts").string(), "--rounds", kRounds},
                       "second.log");
  const auto went_on = second.wait();
  INFO(second.output());
  REQUIRE(went_on == 0);
  CHECK((t.weights("parts") == t.weights("own")));
  auto picture = t.tool({MDGAN_SERVER, "sample", "--run", (t / "own").string(),
                         "--count", "4", "--out", (t / "grid.png").string()},
                        "sample.log");
  CHECK(picture.wait() == 0);

  // A run has one model.
  const fs::path other = write_model(t, "other", "50");
  auto refused =
      t.tool({MDGAN_SERVER, "train", "--resume", (t / "parts").string(),
              "--rounds", "300", "--model", "script:" + other.string()},
             "refused.log");
  CHECK(refused.wait() == 3);
  CHECK(contains(refused.output(), {"model = script:", "leave that out"}));
}

TEST_CASE("a program that fails in mid-training says why, and whose it is") {
  const ProcessRun t;
  write_text(t / "failing.py", R"(
import sys
sys.path.insert(0, sys.argv[1])
import mlp, torch
from torch import Tensor

class FailingGenerator(mlp.Generator):
    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        assert latents.size(0) < 10, "the generator draws but a few"
        return latents[:, :64].view(-1, 1, 8, 8) * self.fc1.weight.mean() * \
            self.fc1.bias.mean() * self.fc2.weight.mean() * self.fc2.bias.mean() * \
            self.fc3.weight.mean() * self.fc3.bias.mean()

class FailingDiscriminator(mlp.Discriminator):
    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        assert images.size(0) < 10, "the discriminator judges but a few"
        return self.outputs(images)[:, 0]

for part, failing in (("generator", FailingGenerator((1, 8, 8), 100, 0)),
                      ("discriminator", FailingDiscriminator((1, 8, 8)))):
    model = mlp.Model((1, 8, 8), 100, 0)
    setattr(model, part, failing)
    torch.jit.script(model).save(sys.argv[2] + "/" + part + ".pt")
)");
  auto python = t.tool({"/usr/bin/python3", (t / "failing.py").string(),
                        MDGAN_SOURCE_DIR "/configs/models", (t / "").string()},
                       "failing.log");
  const auto wrote = python.wait();
  INFO(python.output());
  REQUIRE(wrote == 0);

  const auto model = [&](const char* part) {
    return (t / (std::string(part) + ".pt")).string();
  };
  auto server = t.server(
      "generator", {"--model", "script:" + model("generator"), "--local-peers",
                    "2", "--data", (t / "data").string(), "--rounds", "5"});
  CHECK(server.wait() == 3);
  INFO(server.output());
  CHECK(
      contains(server.output(), {"the program of the file that you gave failed",
                                 "the generator draws but a few"}));

  auto waiting =
      t.server("discriminator",
               {"--model", "script:" + model("discriminator"), "--bind",
                "tcp://127.0.0.1:*", "--min-peers", "1", "--rounds", "5"});
  auto peer =
      t.peer("discriminator", 0, 1, {"--model-file", model("discriminator")});
  CHECK(peer.wait() == 3);
  INFO(peer.output());
  CHECK(contains(peer.output(), {"the program of the file that you gave failed",
                                 "the discriminator judges but a few"}));
  // Another peer may come, with another version of LibTorch.
  waiting.signal(SIGTERM);
  CHECK(waiting.wait() == 10);
}

TEST_CASE("a peer without the run's own model, or with another, is refused") {
  const ProcessRun t;
  const fs::path file = write_model(t, "own");
  const fs::path other = write_model(t, "other", "50");
  auto server = t.server("run", {"--model", "script:" + file.string(), "--bind",
                                 "tcp://127.0.0.1:*", "--condition", "acgan",
                                 "--min-peers", "1", "--rounds", "5"});
  auto without = t.peer("run", 0, 3);
  CHECK(without.wait() == 3);
  CHECK(contains(without.output(), {"script:", "--model-file"}));
  auto wrong = t.peer("run", 1, 3, {"--model-file", other.string()});
  CHECK(wrong.wait() == 3);
  CHECK(contains(wrong.output(), {other.string(), "which is script:"}));
  auto right = t.peer("run", 2, 3, {"--model-file", file.string()});
  const auto code = server.wait();
  INFO(server.output());
  CHECK(code == 0);
  CHECK(right.wait() == 0);
  auto missing = t.server("none", {"--model", "script:/nowhere/model.pt"});
  CHECK(missing.wait() == 3);
  CHECK_FALSE(fs::exists(t / "none"));
}

TEST_CASE("inspect tries a model of one's own") {
  const ProcessRun t;
  const fs::path file = write_model(t, "own");
  const std::vector<std::string> inspect{MDGAN_SERVER, "inspect",
                                         file.string()};
  auto right = inspect;
  right.insert(right.end(),
               {"--image", "1x8x8", "--condition", "acgan", "--classes", "10"});
  auto tried = t.tool(right, "right.log");
  CHECK(tried.wait() == 0);
  CHECK(contains(tried.output(), {"script:", "fc1.weight", "can be used",
                                  "kernels for dense layers"}));
  auto wrong = inspect;
  wrong.insert(wrong.end(),
               {"--image", "1x9x9", "--condition", "acgan", "--classes", "10"});
  auto refused = t.tool(wrong, "wrong.log");
  CHECK(refused.wait() == 3);
  CHECK(contains(refused.output(), {"1, 8, 8", "1, 9, 9"}));
  auto unsaid = t.tool(inspect, "unsaid.log");
  CHECK(unsaid.wait() == 2);
  CHECK(contains(unsaid.output(), {"--image"}));
}

}  // namespace mdgan::test
