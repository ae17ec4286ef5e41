#include "server/core/label_plan.h"

#include <algorithm>
#include <limits>
#include <set>

#include "common/base/random.h"
#include "tests/support/catch.h"

namespace mdgan::test {
namespace {

std::vector<PeerLabels> peers_of(const std::vector<ClassCounts>& shards) {
  std::vector<PeerLabels> peers;
  for (std::size_t n = 0; n < shards.size(); ++n)
    peers.push_back({PeerId{static_cast<std::uint32_t>(n)}, shards[n]});
  return peers;
}

TEST_CASE("With as many batches as peers each peer has one of its own labels") {
  const auto peers = peers_of({{9, 1, 0}, {0, 5, 5}, {9, 1, 0}});
  const LabelPlan plan = plan_labels(peers, 3);
  REQUIRE(plan.counts.size() == 3);
  const auto assignments = assign_by_labels(peers, plan);
  std::set<std::uint32_t> used;
  for (std::size_t n = 0; n < peers.size(); ++n) {
    CHECK(plan.counts[assignments[n].generated] == peers[n].counts);
    CHECK(assignments[n].discriminated == assignments[n].generated);
    used.insert(assignments[n].generated);
  }
  CHECK(used.size() == 3);
}

TEST_CASE("With fewer batches like peers share one") {
  const auto peers =
      peers_of({{10, 0, 0}, {0, 10, 0}, {20, 1, 0}, {0, 0, 7}, {0, 9, 1}});
  const LabelPlan plan = plan_labels(peers, 3);
  const auto assignments = assign_by_labels(peers, plan);
  CHECK(assignments[0].generated == assignments[2].generated);
  CHECK(assignments[1].generated == assignments[4].generated);
  CHECK(plan.counts[assignments[0].generated] == ClassCounts{30, 1, 0});
  CHECK(plan.counts[assignments[3].generated] == ClassCounts{0, 0, 7});
}

TEST_CASE("Batches beyond the peers have labels too") {
  const LabelPlan plan = plan_labels(peers_of({{1, 0}, {0, 1}}), 5);
  REQUIRE(plan.counts.size() == 5);
  for (const ClassCounts& counts : plan.counts)
    CHECK(counts[0] + counts[1] > 0);
}

TEST_CASE(
    "Whoever has come since the round was planned gets the likest batch") {
  const LabelPlan plan = plan_labels(peers_of({{8, 2}, {1, 9}}), 2);
  const auto assignments =
      assign_by_labels(std::vector<PeerLabels>{{PeerId{9}, {3, 7}}}, plan);
  CHECK(plan.counts[assignments[0].generated] == ClassCounts{1, 9});
}

TEST_CASE("Each group of the plan has every count once, whatever the shards") {
  for (std::uint32_t seed = 0; seed < 200; ++seed) {
    Random random(seed, Purpose::kSimulation);
    std::vector<ClassCounts> shards(1 + random.below(12), ClassCounts(4));
    ClassCounts all(4);
    for (ClassCounts& shard : shards) {
      for (std::size_t y = 0; y < 4; ++y) shard[y] = random.below(3);
      shard[random.below(4)] += 1;
      for (std::size_t y = 0; y < 4; ++y) all[y] += shard[y];
    }
    const auto peers = peers_of(shards);
    const auto k = static_cast<std::uint32_t>(1 + random.below(peers.size()));
    ClassCounts planned(4);
    const LabelPlan plan = plan_labels(peers, k);
    REQUIRE(plan.counts.size() == k);
    for (const ClassCounts& batch : plan.counts) {
      CHECK(batch[0] + batch[1] + batch[2] + batch[3] > 0);
      for (std::size_t y = 0; y < 4; ++y) planned[y] += batch[y];
    }
    CHECK(planned == all);
  }
}

TEST_CASE("A peer counts for its images, whatever it claims of its classes") {
  CHECK(counts_of_images({30, 0, 70}, 100) == ClassCounts{30, 0, 70});
  // What an operator has bounded, and what tells presence alone.
  CHECK(counts_of_images({3000, 0, 7000}, 100) == ClassCounts{30, 0, 70});
  CHECK(counts_of_images({1, 0, 1}, 100) == ClassCounts{50, 0, 50});
  CHECK(counts_of_images({1, 0, 1'000'000}, 100) == ClassCounts{1, 0, 99});
  // Claims whose sum would wrap.
  constexpr auto kMost = std::numeric_limits<std::uint64_t>::max();
  std::vector<ClassCounts> shards(
      4, counts_of_images({kMost / 2 + 1, kMost / 2}, kMost));
  const LabelPlan plan = plan_labels(peers_of(shards), 1);
  CHECK(plan.counts[0][0] >= std::uint64_t{1} << 40);
  CHECK(plan.counts[0][0] + plan.counts[0][1] < std::uint64_t{1} << 43);
}

TEST_CASE("Peers whose shards are the same are spread over the batches") {
  const auto peers =
      peers_of(std::vector<ClassCounts>(7, ClassCounts{10, 20, 30}));
  const LabelPlan plan = plan_labels(peers, 3);
  std::vector<int> judges(3);
  for (const Assignment& a : assign_by_labels(peers, plan))
    ++judges[a.generated];
  std::ranges::sort(judges);
  CHECK(judges == std::vector<int>{2, 2, 3});
}

TEST_CASE("Only peers of like classes are like") {
  const auto groups = like_peers(
      peers_of({{10, 0}, {0, 10}, {9, 1}, {2, 8}, {6, 4}, {1000, 100}}));
  CHECK(groups ==
        std::vector<std::vector<PeerId>>{{PeerId{0}, PeerId{2}, PeerId{5}},
                                         {PeerId{1}, PeerId{3}},
                                         {PeerId{4}}});
}

}  // namespace
}  // namespace mdgan::test
