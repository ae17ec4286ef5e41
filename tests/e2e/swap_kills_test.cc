// Peers and servers that are killed in the midst of a swap, with the real
// programs: no discriminator is lost, and none has two owners.
#include <signal.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/durable_run.h"
#include "tests/support/failpoint.h"
#include "tests/support/process_run.h"
#include "tests/support/text_file.h"

namespace mdgan::test {

namespace fs = std::filesystem;

namespace {

constexpr std::uint32_t kPeers = 3;

// Whose discriminator is which, as the newest checkpoint has it.
std::map<std::uint64_t, std::uint64_t> owners_in(const fs::path& run) {
  std::vector<fs::path> checkpoints;
  for (const auto& entry : fs::directory_iterator(run / "checkpoints"))
    if (!entry.path().filename().string().starts_with("."))
      checkpoints.push_back(entry.path());
  REQUIRE_FALSE(checkpoints.empty());
  const auto meta = nlohmann::json::parse(
      read_text(std::ranges::max(checkpoints) / "meta.json"));
  std::map<std::uint64_t, std::uint64_t> owners;
  for (const auto& owner : meta.at("discriminators"))
    owners.emplace(owner[0], owner[1]);
  return owners;
}

std::set<std::uint64_t> discriminators_of(
    const std::map<std::uint64_t, std::uint64_t>& owners) {
  std::set<std::uint64_t> all;
  for (const auto& [peer, discriminator] : owners) all.insert(discriminator);
  return all;
}

// A swap every fourth round: 133 images a peer, batches of 10, E = 0.3.
Words swapping(const std::string& endpoint) {
  return kEndless + Words{"--bind",
                          endpoint,
                          "--min-peers",
                          "3",
                          "--checkpoint-every",
                          "2",
                          "--swap-epochs",
                          "0.3"};
}

// Kills a peer, or the server, at `point` of its MDGAN_FAILPOINT in a swap of
// three peers, starts it again, and looks whose discriminator is which after
// further swaps.
void survives_swap(const std::string& point, bool of_server) {
  INFO(point);
  const ProcessRun t;
  const auto started = [&](bool fails, const auto& start) {
    if (!fails) return start();
    const Failpoint failpoint(point);
    return start();
  };
  std::optional<ChildProcess> server = started(of_server, [&] {
    return t.server("run", swapping("tcp://127.0.0.1:*"));
  });
  const std::string endpoint = t.endpoint("run");
  std::vector<std::optional<ChildProcess>> peers;
  for (std::uint32_t i = 0; i < kPeers; ++i)
    peers.emplace_back(started(!of_server && i == 1,
                               [&] { return t.peer("run", i, kPeers); }));
  std::optional<ChildProcess>& killed = of_server ? server : peers[1];
  REQUIRE(killed->wait() == 128 + SIGKILL);
  const auto before = owners_in(t / "run");
  REQUIRE(before.size() == kPeers);
  killed.emplace(of_server ? t.server("run", swapping(endpoint))
                           : t.peer("run", 1, kPeers));

  // It takes part in swaps that follow.
  const auto swaps = [&] {
    std::uint64_t count = 0;
    const std::string events = read_text(t / "run" / "events.jsonl");
    for (auto at = events.find("among 3 peers"); at != events.npos;
         at = events.find("among 3 peers", at + 1))
      ++count;
    return count;
  };
  const auto had = swaps();
  REQUIRE(eventually([&] { return swaps() > had + 3; }));
  server->signal(SIGTERM);
  INFO(t.log("run"));
  CHECK(server->wait() == 10);
  for (auto& peer : peers) CHECK(peer->wait() == 10);
  const auto after = owners_in(t / "run");
  CHECK(after.size() == kPeers);
  CHECK(discriminators_of(after) == discriminators_of(before));
  CHECK(t.log("run").find("starts with a copy") == std::string::npos);
}

}  // namespace

TEST_CASE(
    "fault 4: a peer killed where it sends its discriminator loses none") {
  // In the first swap it may have nothing on its disk yet.
  survives_swap(GENERATE(as<std::string>(), "before-send:2", "after-send:2",
                         "before-send:3", "after-send:4"),
                /*of_server=*/false);
}

TEST_CASE(
    "fault 5: a peer killed where it saves what a swap brought loses none") {
  survives_swap(
      GENERATE(as<std::string>(), "before-create@/swapped/",
               "before-rename@/swapped/", "after-rename@/swapped/",
               "before-rename@/swapped/:2", "after-rename@/swapped/:2"),
      /*of_server=*/false);
}

TEST_CASE("fault 5: a server killed about a swap's decision loses none") {
  const std::string point =
      GENERATE(as<std::string>(), "before-rename", "after-rename");
  const int count = GENERATE(3, 4, 5, 6);
  survives_swap(point + "@/checkpoints/0:" + std::to_string(count),
                /*of_server=*/true);
}

}  // namespace mdgan::test
