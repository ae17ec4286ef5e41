// Real processes over loopback: training, swaps, equal results however it is
// run, resuming.
#include <signal.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/contains.h"
#include "tests/support/process_run.h"
#include "tests/support/text_file.h"

namespace mdgan::test {

namespace fs = std::filesystem;

namespace {

const std::vector<std::string> kListen{"--bind", "tcp://127.0.0.1:*"};

std::vector<ChildProcess> start_peers(const ProcessRun& t,
                                      const std::string& run,
                                      std::uint32_t count) {
  std::vector<ChildProcess> peers;
  for (std::uint32_t i = 0; i < count; ++i)
    peers.push_back(t.peer(run, i, count));
  return peers;
}

}  // namespace

TEST_CASE("peers in processes of their own train what local peers train") {
  const ProcessRun t;
  const std::vector<std::string> rounds{"--rounds", "25"};
  const std::string data = (t / "data").string();
  auto local =
      t.server("local", rounds + Words{"--local-peers", "3", "--data", data});
  REQUIRE(local.wait() == 0);

  auto server = t.server("tcp", rounds + kListen + Words{"--min-peers", "3"});
  auto peers = start_peers(t, "tcp", 3);
  REQUIRE(server.wait() == 0);
  INFO(server.output());
  for (ChildProcess& peer : peers) {
    INFO(peer.output());
    CHECK(peer.wait() == 0);
  }
  CHECK(t.round("tcp") == 25);
  CHECK(t.peers("tcp") == 3);
  // 133 samples a peer, batches of 10, E = 0.5: a swap every 6 rounds.
  CHECK(t.log("tcp").find("swap after round 6 among 3 peers") !=
        std::string::npos);
  CHECK((t.weights("tcp") == t.weights("local")));

  // Several sessions in one process, and the data cut the same way.
  auto hosted =
      t.server("hosted", rounds + kListen + Words{"--min-peers", "3"});
  auto host =
      t.peer("hosted", 0, 3,
             {"--sessions", "3", "--state-dir", (t / "hosted-state").string()});
  REQUIRE(hosted.wait() == 0);
  CHECK(host.wait() == 0);
  CHECK((t.weights("hosted") == t.weights("local")));
}

TEST_CASE("a cut by classes is the same for local peers and processes") {
  const ProcessRun t;
  const std::vector<std::string> cut{"--partition", "classes:1", "--rounds",
                                     "6"};
  const std::string data = (t / "data").string();
  auto local =
      t.server("local", cut + Words{"--local-peers", "4", "--data", data});
  REQUIRE(local.wait() == 0);
  INFO(local.output());
  const auto table = nlohmann::json::parse(
      read_text((t / "local") / "partition.json"), nullptr, false);
  REQUIRE(table.is_object());
  CHECK(table["partition"] == "classes:1");
  REQUIRE(table["peers"].size() == 4);
  // Bars are of ten classes with 40 images each.
  CHECK(table["peers"][2]["name"] == "local-2");
  CHECK(table["peers"][2]["counts"] ==
        std::vector<int>{0, 0, 40, 0, 0, 0, 0, 0, 0, 0});
  CHECK(t.log("local").find("6 of 10 classes are in nobody's data") !=
        std::string::npos);

  auto server =
      t.server("tcp", kListen + Words{"--min-peers", "4", "--rounds", "6"});
  auto host =
      t.peer("tcp", 0, 4,
             {"--sessions", "4", "--partition", "classes:1", "--name", "p"});
  REQUIRE(server.wait() == 0);
  REQUIRE(host.wait() == 0);
  CHECK((t.weights("tcp") == t.weights("local")));
  const auto row = nlohmann::json::parse(
      read_text(t / "state" / "p-3" / "partition.json"), nullptr, false);
  REQUIRE(row.is_object());
  CHECK(row["peers"][0]["shard"] == 3);
  CHECK(row["peers"][0]["counts"][3] == 40);
}

TEST_CASE("peers are weighed by their shards and their judgements") {
  const ProcessRun t;
  const auto weights = [&](const std::string& run,
                           const std::vector<std::string>& more) {
    auto server = t.server(
        run, Words{"--local-peers", "4", "--data", (t / "data").string(), "--k",
                   "2", "--rounds", "5"} +
                 more);
    const auto code = server.wait();
    INFO(server.output());
    REQUIRE(code == 0);
    return t.weights(run);
  };
  const std::string mean = weights("mean", {});
  // 400 images: equal parts weigh the same, and unequal ones do not.
  CHECK((weights("equal", {"--aggregate", "shard-size"}) == mean));
  const std::string uneven = weights("uneven", {"--partition", "sizes:zipf"});
  CHECK((weights("sizes", {"--partition", "sizes:zipf", "--aggregate",
                           "shard-size"}) != uneven));
  const std::string f2a = weights("f2a", {"--aggregate", "f2a"});
  CHECK((f2a != mean));
  CHECK((weights("cold", {"--aggregate", "f2a", "--aggregate-temperature",
                          "0"}) == mean));
  CHECK((weights("gman", {"--aggregate", "gman"}) != f2a));
  CHECK((weights("int8", {"--aggregate", "ua-gan", "--feedback-codec",
                          "int8"}) != mean));
}

TEST_CASE("a cut that is not one is a usage error that names the key") {
  const ProcessRun t;
  auto server =
      t.server("run", {"--local-peers", "2", "--data", (t / "data").string(),
                       "--partition", "classes:many"});
  CHECK(server.wait() == 2);
  CHECK(server.output().find("partition must be iid, dirichlet:ALPHA") !=
        std::string::npos);
}

TEST_CASE("a resumed run equals an uninterrupted one bit for bit") {
  const ProcessRun t;
  const std::string model = GENERATE("mlp", "dcgan");  // dcgan: batch norm
  const bool replay = model == "mlp" && GENERATE(false, true);
  INFO(model << ", replay " << replay);
  if (model == "dcgan") write_bars(t / "data", 200, 32);
  const std::vector<std::string> common{
      "--local-peers",       "2",        "--data",
      (t / "data").string(), "--model",  model,
      "--checkpoint-every",  "4",        "--local-steps",
      replay ? "3" : "1",    "--replay", replay ? "true" : "false"};
  auto whole = t.server("whole", common + Words{"--rounds", "14"});
  REQUIRE(whole.wait() == 0);

  auto first = t.server("parts", common + Words{"--rounds", "7"});
  REQUIRE(first.wait() == 0);
  auto second =
      t.server("parts", {"--resume", (t / "parts").string(), "--rounds", "14"});
  REQUIRE(second.wait() == 0);
  INFO(second.output());
  CHECK(t.log("parts").find("this run continues after round 7") !=
        std::string::npos);
  CHECK((t.weights("parts") == t.weights("whole")));
  CHECK(t.round("parts") == 14);
}

TEST_CASE("a server binds, and a peer finds, a host by its name") {
  const ProcessRun t;
  const std::string host = GENERATE("localhost", "lo");
  INFO(host);
  Words options{
      "--bind", "tcp://" + host + ":*", "--min-peers", "1", "--rounds", "4"};
  // Others might be on that network.
  if (host == "lo") options.push_back("--insecure");
  auto server = t.server("run", options);
  const std::string endpoint = t.endpoint("run");
  // Debian's hosts file has an IPv6 and an IPv4 address for this one.
  auto peer = t.peer(
      "run", 0, 1,
      {"--server", "tcp://localhost" + endpoint.substr(endpoint.rfind(':'))});
  CHECK(server.wait() == 0);
  INFO(peer.output());
  CHECK(peer.wait() == 0);
}

TEST_CASE("a peer that trained in another run meanwhile has its own past") {
  const ProcessRun t;
  const std::string data = (t / "data").string();
  const auto train = [&](const std::string& run, const std::string& rounds,
                         const std::string& state) {
    auto server =
        t.server(run, kListen + Words{"--min-peers", "2", "--rounds", rounds});
    std::vector<ChildProcess> peers;
    for (std::uint32_t i = 0; i < 2; ++i)
      peers.push_back(t.peer(run, i, 2, {"--state-dir", (t / state).string()}));
    CHECK(server.wait() == 0);
    std::string said = server.output();
    for (ChildProcess& peer : peers) {
      CHECK(peer.wait() == 0);
      said += peer.output();
    }
    return said;
  };
  train("whole", "14", "other-state");
  train("a", "7", "state");
  train("b", "9", "state");
  const std::string said = train("a", "14", "state");
  CHECK_FALSE(has(said, "was part of this run"));
  CHECK((t.weights("a") == t.weights("whole")));

  // Who has lost it is told so on both sides, and goes on with a copy.
  fs::remove_all(t / "state" / "peer-1");
  const std::string lost = train("a", "16", "state");
  CHECK(count_of(lost,
                 "peer 1 (peer-1) was part of this run and has no "
                 "discriminator of it any more") == 2);
}

TEST_CASE("a resumed run that is merged by a robust rule equals a whole one") {
  const ProcessRun t;
  const std::string rule = GENERATE("clip", "median");
  INFO(rule);
  const std::vector<std::string> common{"--local-peers",       "3",   "--data",
                                        (t / "data").string(), "--k", "1",
                                        "--checkpoint-every",  "4"};
  // With 1 the longest answer of each round is shortened.
  const std::vector<std::string> robust =
      common + Words{"--aggregate", rule, "--aggregate-clip", "1"};
  const std::vector<std::string> all{"--rounds", "14"};
  REQUIRE(t.server("mean", common + all).wait() == 0);
  REQUIRE(t.server("whole", robust + all).wait() == 0);
  CHECK((t.weights("whole") != t.weights("mean")));

  auto first = t.server("parts", robust + Words{"--rounds", "7"});
  REQUIRE(first.wait() == 0);
  auto second =
      t.server("parts", Words{"--resume", (t / "parts").string()} + all);
  const auto code = second.wait();
  INFO(second.output());
  REQUIRE(code == 0);
  CHECK(t.log("parts").find("this run continues after round 7") !=
        std::string::npos);
  CHECK((t.weights("parts") == t.weights("whole")));
  CHECK(t.round("parts") == 14);
}

TEST_CASE("a run whose peer had not saved the last round goes on before it") {
  const ProcessRun t;
  const std::string algorithm = GENERATE("md-gan", "fl-gan");
  INFO(algorithm);
  const std::vector<std::string> common{"--local-peers",
                                        "2",
                                        "--data",
                                        (t / "data").string(),
                                        "--algorithm",
                                        algorithm,
                                        "--local-steps",
                                        "2",
                                        "--replay",
                                        "--checkpoint-every",
                                        "6"};
  auto whole = t.server("whole", common + Words{"--rounds", "18"});
  REQUIRE(whole.wait() == 0);
  auto first = t.server("parts", common + Words{"--rounds", "12"});
  REQUIRE(first.wait() == 0);
  // A crash between the server's checkpoint and this peer's leaves it so.
  std::uintmax_t removed = 0;
  for (const auto& run : fs::directory_iterator(t / "parts/peers/local-1"))
    removed += fs::remove_all(run.path() / "00000012");
  REQUIRE(removed > 0);
  auto second =
      t.server("parts", {"--resume", (t / "parts").string(), "--rounds", "18"});
  const auto code = second.wait();
  INFO(second.output());
  REQUIRE(code == 0);
  CHECK(t.log("parts").find("local-1 had not saved round 12") !=
        std::string::npos);
  CHECK((t.weights("parts") == t.weights("whole")));
}

TEST_CASE(
    "Ctrl-C finishes the round, saves, and the run goes on to the same end") {
  const ProcessRun t;
  const std::vector<std::string> common = kListen + Words{"--min-peers", "2"};
  const std::vector<std::string> local{"--local-peers", "2", "--data",
                                       (t / "data").string()};
  auto server = t.server("run", common + Words{"--rounds", "100000"});
  auto peers = start_peers(t, "run", 2);
  REQUIRE(eventually([&] { return t.round("run") > 8; }));
  server.signal(SIGINT);
  REQUIRE(server.wait() == 0);
  for (ChildProcess& peer : peers) CHECK(peer.wait() == 0);
  const auto stopped = t.round("run");

  const std::string end = std::to_string(stopped + 5);
  auto resumed = t.server("run", {"--resume", (t / "run").string(), "--rounds",
                                  end, "--bind", "tcp://127.0.0.1:*"});
  auto again = start_peers(t, "run", 2);
  REQUIRE(resumed.wait() == 0);
  for (ChildProcess& peer : again) CHECK(peer.wait() == 0);

  auto whole = t.server("whole", local + Words{"--rounds", end});
  REQUIRE(whole.wait() == 0);
  CHECK((t.weights("run") == t.weights("whole")));
}

TEST_CASE("a run leaves pictures, statistics, a configuration and weights") {
  const ProcessRun t;
  auto server =
      t.server("run", {"--rounds", "20", "--local-peers", "2", "--data",
                       (t / "data").string(), "--condition", "acgan",
                       "--samples-every", "10", "--checkpoint-every", "10"});
  REQUIRE(server.wait() == 0);
  const fs::path run = t / "run";
  CHECK(read_text(run / "samples" / "000010.png").starts_with("\x89PNG"));
  CHECK(read_text(run / "samples" / "000020.png").starts_with("\x89PNG"));
  CHECK(read_text(run / "config.ini").find("condition = acgan") !=
        std::string::npos);
  CHECK(fs::exists(run / "checkpoints" / "00000010" / "manifest.json"));

  auto sample =
      t.tool({MDGAN_SERVER, "sample", "--run", run.string(), "--count", "9",
              "--classes", "0,1,2", "--out", (t / "grid.png").string()},
             "sample.out");
  CHECK(sample.wait() == 0);
  CHECK(read_text(t / "grid.png").starts_with("\x89PNG"));

  auto exported = t.tool({MDGAN_SERVER, "export", "--run", run.string(),
                          "--out", (t / "g.safetensors").string()},
                         "export.out");
  CHECK(exported.wait() == 0);
  // A Python twin of the model takes the weights by PyTorch's names and shapes.
  write_text(t / "latents.raw", std::string(4 * 100 * 4, '\0'));
  write_text(t / "labels.raw", std::string(4 * 4, '\0'));
  auto twin = t.tool({"/usr/bin/python3",
                      MDGAN_SOURCE_DIR "/tests/interop/twin.py",
                      "--weights",
                      (t / "g.safetensors").string(),
                      "--model",
                      "mlp",
                      "--channels",
                      "1",
                      "--height",
                      "8",
                      "--width",
                      "8",
                      "--classes",
                      "10",
                      "--condition",
                      "acgan",
                      "--latents",
                      (t / "latents.raw").string(),
                      "--labels",
                      (t / "labels.raw").string(),
                      "--out",
                      (t / "images.raw").string()},
                     "twin.out");
  const auto code = twin.wait();
  INFO(twin.output());
  REQUIRE(code == 0);
  CHECK(fs::file_size(t / "images.raw") == 4 * 64 * 4);
}

}  // namespace mdgan::test
