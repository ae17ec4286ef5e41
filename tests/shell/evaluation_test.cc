// Generators that are measured by the peers, with the shells' threads and real
// sockets.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <future>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/child_process.h"
#include "tests/support/contains.h"
#include "tests/support/in_process_run.h"
#include "tests/support/link.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/text_file.h"

namespace mdgan::test {
namespace {

ServerOptions measured_by_peers(std::uint64_t rounds) {
  ServerOptions options = small_options();
  options.min_peers = 4;
  options.bind = kAnyPort;
  options.rounds = rounds;
  options.evaluate_every = 4;
  options.evaluate_at = EvaluateAt::kPeers;
  return options;
}

std::vector<nlohmann::json> lines_of(const std::filesystem::path& file) {
  std::vector<nlohmann::json> lines;
  if (!std::filesystem::exists(file)) return lines;
  std::istringstream text(read_text(file));
  for (std::string line; std::getline(text, line);)
    lines.push_back(nlohmann::json::parse(line));
  return lines;
}

// What a site of 40 images measures whose features are those of the first
// generated one.
Result<SiteMetrics> measured(const SiteQuestion& question) {
  float value = 0;
  std::memcpy(&value, question.generated.values.bytes.data(), sizeof value);
  return SiteMetrics{
      0.25,
      0.125,
      0.5,
      {40, std::vector<double>(kClassifierFeatures, value),
       std::vector<double>(kClassifierFeatures * kClassifierFeatures)}};
}

// Peers `first` to `last` of four, all of which measure with this.
std::unique_ptr<InProcessPeers> peers_with(InProcessServer& server,
                                           const TemporaryDirectory& directory,
                                           std::uint32_t first,
                                           std::uint32_t last,
                                           const MeasureSite& measure) {
  return std::make_unique<InProcessPeers>(
      server.context(), server.endpoint(), directory.path(), first, last, 4,
      true, small_images(), peer_arithmetic(),
      std::vector<MeasureSite>(last - first + 1, measure));
}

}  // namespace

TEST_CASE("peers measure generators, and the run's end waits for them") {
  const TemporaryDirectory directory;
  InProcessServer server(directory / "run", measured_by_peers(10));
  // The slowest takes far longer than the rounds.
  const auto peers =
      peers_with(server, directory, 0, 3, [](const SiteQuestion& question) {
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        return measured(question);
      });
  CHECK(server.wait().code == ExitCode::kOk);
  CHECK(peers->wait().code == ExitCode::kOk);
  const auto lines = lines_of(directory / "run/metric-fid30.jsonl");
  REQUIRE(lines.size() == 3);
  for (const auto& line : lines) {
    CHECK(line["results"]["frechet_inception_distance"] == 4 * 2);
    CHECK(line["real_images"] == 4 * 40);
  }
  CHECK(lines[0]["round"] == 4);
  CHECK(lines[2]["round"] == 10);
  const auto sites = lines_of(directory / "run/metric-sites30.jsonl");
  REQUIRE(sites.size() == 3);
  std::set<std::string> names;
  for (const auto& site : sites[2]["results"]["sites"]) {
    names.insert(site["name"].get<std::string>());
    CHECK(site["recall"] == 0.5);
    CHECK(site["kernel_inception_distance_mean"] == 0.25);
  }
  CHECK(names == std::set<std::string>{"peer-0", "peer-1", "peer-2", "peer-3"});
}

TEST_CASE("a peer that cannot measure is named, and the others' count") {
  const TemporaryDirectory directory;
  InProcessServer server(directory / "run", measured_by_peers(4));
  const auto able = peers_with(server, directory, 0, 2, measured);
  const auto unable = peers_with(
      server, directory, 3, 3, [](const SiteQuestion&) -> Result<SiteMetrics> {
        return Error{"its classifier takes other images"};
      });
  CHECK(server.wait().code == ExitCode::kOk);
  const auto lines = lines_of(directory / "run/metric-fid30.jsonl");
  REQUIRE(lines.size() == 1);
  CHECK(lines[0]["results"]["frechet_inception_distance"] == 3 * 2);
  CHECK(contains(server.log(), {"(peer-3) did not measure"}));
  CHECK(contains(server.log(), {"its classifier takes other images"}));
}

TEST_CASE("numbers that are none spoil no other site's") {
  const TemporaryDirectory directory;
  InProcessServer server(directory / "run", measured_by_peers(4));
  const auto able = peers_with(server, directory, 0, 1, measured);
  const auto liar = [&](std::uint32_t i, auto change) {
    return peers_with(server, directory, i, i,
                      [change](const SiteQuestion& question) {
                        auto numbers = measured(question);
                        change(*numbers);
                        return numbers;
                      });
  };
  const auto infinite = liar(2, [](SiteMetrics& m) {
    m.sums.products.back() = std::numeric_limits<double>::infinity();
  });
  const auto other_sizes = liar(3, [](SiteMetrics& m) {
    m.sums.sum.resize(3, 1);
    m.sums.products.resize(9, 1);
  });
  CHECK(server.wait().code == ExitCode::kOk);
  const auto lines = lines_of(directory / "run/metric-fid30.jsonl");
  REQUIRE(lines.size() == 1);
  CHECK(lines[0]["results"]["frechet_inception_distance"] == 2 * 2);
  CHECK(contains(server.log(), {"not finite, or beyond 1e30"}));
  CHECK(contains(server.log(), {"its sums have other shapes"}));
}

TEST_CASE("a run that is stopped waits for no peer to measure") {
  const TemporaryDirectory directory;
  InProcessServer server(directory / "run", measured_by_peers(1'000'000));
  std::promise<void> released;
  std::atomic<int> calls = 0;
  const auto peers =
      peers_with(server, directory, 0, 3,
                 [&calls, release = released.get_future().share()](
                     const SiteQuestion& question) {
                   ++calls;
                   release.wait();
                   return measured(question);
                 });
  // The first one hangs; later ones are begun, and the oldest given up.
  REQUIRE(eventually([&] {
    return contains(server.log(), {"was not measured before newer ones"});
  }));
  server.stop();
  CHECK(server.wait().code == ExitCode::kOk);
  released.set_value();
  CHECK(peers->wait().code == ExitCode::kOk);
  CHECK(calls == 1);  // those that waited behind it are not begun
}

}  // namespace mdgan::test
