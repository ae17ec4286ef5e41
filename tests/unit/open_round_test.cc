#include "server/core/open_round.h"

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "server/core/feedback_bound.h"
#include "tests/support/catch.h"

namespace mdgan::test {

using namespace std::chrono_literals;

namespace {

OpenRound asked(std::uint32_t peers, std::uint32_t k) {
  std::vector<PeerId> ids;
  for (std::uint32_t i = 0; i < peers; ++i) ids.push_back({10 + i});
  OpenRound round;
  round.round = {7};
  round.phase = OpenRound::Phase::kReady;
  round.ask(assign_batches(ids, k), {TimePoint{}, 60s}, peers);
  return round;
}

using Places = std::vector<std::size_t>;
Places too_long_of(std::vector<double> lengths) { return too_long(lengths); }

}  // namespace

TEST_CASE("participants are drawn from the seed, anew each round") {
  std::vector<PeerId> peers;
  for (std::uint32_t n = 0; n < 10; ++n) peers.push_back({2 * n});
  std::vector<int> times(20);
  for (std::uint64_t i = 1; i <= 2000; ++i) {
    const auto drawn = draw_participants(peers, 3, 7, Round{i});
    CHECK(drawn == draw_participants(peers, 3, 7, Round{i}));
    REQUIRE(drawn.size() == 3);
    CHECK(std::ranges::is_sorted(drawn));
    CHECK(std::ranges::adjacent_find(drawn) == drawn.end());
    for (const PeerId peer : drawn) ++times[peer.value];
  }
  for (const PeerId peer : peers)  // 600 each, in the mean
    CHECK(std::abs(times[peer.value] - 600) < 120);
  CHECK(draw_participants(peers, 3, 7, Round{1}) !=
        draw_participants(peers, 3, 8, Round{1}));
  CHECK(draw_participants(peers, 10, 7, Round{1}) == peers);
}

TEST_CASE("fault 18: a length is bounded by those of the others") {
  // A single answer is bounded by what no working discriminator gives.
  CHECK(too_long_of({}).empty());
  CHECK(too_long_of({1e4}).empty());
  CHECK(too_long_of({1.01e4}) == Places{0});
  // The longer of two is refused if it is long by itself, too: the short one
  // may be the free rider.
  CHECK(too_long_of({0, 100}).empty());
  CHECK(too_long_of({101, 0}) == Places{0});
  CHECK(too_long_of({50, 5000}).empty());
  CHECK(too_long_of({50, 5001}) == Places{1});
  CHECK(too_long_of({1.1e4, 1.1e4}) == Places{0, 1});
  // Three or more are bounded by the median of the others, also where all are
  // long, as with Wasserstein losses.
  CHECK(too_long_of({1, 3, 200}).empty());
  CHECK(too_long_of({1, 3, 201}) == Places{2});
  CHECK(too_long_of({1e5, 2e5, 3e5, 4e5}).empty());
  CHECK(too_long_of({1e5, 1e5, 1e30, 2e5}) == Places{2});
  CHECK(too_long_of({1, 1e9, 1, 1e9, 1}) == Places{1, 3});
  // Others that are honestly zero do not make every answer too long.
  CHECK(too_long_of({0, 0, 0}).empty());
  CHECK(too_long_of({0, 0.1, 0}).empty());
  CHECK(too_long_of({0, 0.11, 0}) == Places{1});
  // A minority of free riders has nobody refused.
  CHECK(too_long_of({1, 0, 40}).empty());
  CHECK(too_long_of({1, 0, 2, 0, 3}).empty());
}

TEST_CASE("what is too long does not count as an answer") {
  OpenRound round = asked(3, 1);
  round.take({10}, {true, 1, 1, 2});
  round.take({11}, {true, 3, 3, 1e5});
  CHECK(round.contributions == 2);
  round.take({12}, {true, 1, 1, 2});
  CHECK(round.refuse_too_long() == std::vector<PeerId>{{11}});
  CHECK(round.contributions == 2);
  CHECK(round.refuse_too_long().empty());
  const ClosedRound closed = close(round);
  CHECK_FALSE(closed.invalid.empty());
  CHECK(closed.step.contributors.size() == 2);
  CHECK(closed.report.discriminator_loss == 1);
}

TEST_CASE(
    "peers get the batches of Algorithm 1 by their place among the asked") {
  const std::vector<PeerId> peers{{3}, {5}, {8}, {9}};
  using Assignments = std::vector<Assignment>;
  CHECK((assign_batches(peers, 3) ==
         Assignments{{{3}, 0, 1}, {{5}, 1, 2}, {{8}, 2, 0}, {{9}, 0, 1}}));
  CHECK((assign_batches(std::span(peers).first(2), 1) ==
         Assignments{{{3}, 0, 0}, {{5}, 0, 0}}));
}

TEST_CASE(
    "a round expects one answer of each peer, on the batch it was given") {
  OpenRound round = asked(2, 2);
  CHECK(round.expects({10}, 0));
  CHECK_FALSE(round.expects({10}, 1));
  CHECK(round.awaits({10}));
  CHECK_FALSE(round.expects({99}, 0));
  round.take({10}, {true, 1, 2});
  CHECK_FALSE(round.expects({10}, 0));
  CHECK_FALSE(round.awaits({10}));
  CHECK(round.unanswered == 1);
  round.phase = OpenRound::Phase::kStepping;
  CHECK_FALSE(round.expects({11}, 1));
}

TEST_CASE("the quorum is of those asked, also of those lost since") {
  OpenRound round = asked(4, 1);
  round.take({10}, {true, 0, 0});
  CHECK_FALSE(round.lose({10}));  // its answer counts
  CHECK(round.lose({11}));
  CHECK_FALSE(round.lose({11}));
  CHECK(round.lose({12}));
  CHECK(round.unanswered == 1);
  CHECK_FALSE(round.quorum_reached(0.5));
  round.take({13}, {});  // not valid
  CHECK(round.unanswered == 0);
  CHECK_FALSE(round.quorum_reached(0.5));
  CHECK(round.quorum_reached(0.25));
}

TEST_CASE("a closed round tells contributors, losses and who is missing") {
  OpenRound round = asked(4, 2);
  round.take({13}, {true, 1, 4});
  round.take({10}, {true, 3, 2});
  round.take({11}, {});
  const ClosedRound closed = close(round);
  CHECK((closed.step.contributors ==
         std::vector<Contributor>{{{10}, 0, 0}, {{13}, 1, 0}}));
  CHECK(closed.report.asked == 4);
  CHECK(closed.report.contributed == 2);
  CHECK(closed.report.discriminator_loss == 2);
  CHECK(closed.report.generator_loss == 3);
  CHECK_FALSE(closed.invalid.empty());
  CHECK((closed.missing == std::vector<PeerId>{{12}}));
}

}  // namespace mdgan::test
