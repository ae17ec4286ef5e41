#include "server/core/round_deadline.h"

#include <chrono>

#include "server/core/coordinator_config.h"
#include "tests/support/catch.h"

using namespace std::chrono_literals;  // NOLINT

namespace mdgan::test {
namespace {

const TimePoint kAsked{std::chrono::hours(1)};

}  // namespace

TEST_CASE("a round that stands for several has a second more for each") {
  CHECK(round_time(60s, 1) == 60s);
  CHECK(round_time(60s, 11) == 70s);
}

TEST_CASE("fault 6: stragglers get a multiple of the time of the quorum") {
  RoundDeadline deadline(kAsked, 60s);
  REQUIRE(deadline.at() == kAsked + 60s);
  SECTION("and not less than some seconds") {
    deadline.hurry(kAsked + 10ms);
    CHECK(deadline.at() == kAsked + 3s);
    deadline.hurry(kAsked + 5s);  // what the quorum took is known by now
    CHECK(deadline.at() == kAsked + 3s);
  }
  SECTION("where rounds take long") {
    deadline.hurry(kAsked + 2s);
    CHECK(deadline.at() == kAsked + 10s);
  }
  SECTION("and not more than round-timeout") {
    deadline.hurry(kAsked + 20s);
    CHECK(deadline.at() == kAsked + 60s);
  }
}

TEST_CASE("a round that was asked ahead has its time from when it is awaited") {
  RoundDeadline deadline(kAsked, 60s);
  deadline.start_again(kAsked + 50s);
  CHECK(deadline.at() == kAsked + 110s);
  RoundDeadline hurried(kAsked, 60s);
  hurried.stop(kAsked - kStopGrace + 1s);
  hurried.start_again(kAsked + 50s);
  CHECK(hurried.at() == kAsked + 53s);
}

TEST_CASE("without a quorum a round waits once more, and then is given up") {
  using enum RoundDeadline::Over;
  RoundDeadline deadline(kAsked, 60s);
  CHECK(deadline.pass(kAsked + 60s, true, 300s) == kClose);
  CHECK_FALSE(deadline.quorum_missed());
  CHECK(deadline.pass(kAsked + 60s, false, 300s) == kWaitForQuorum);
  CHECK(deadline.at() == kAsked + 360s);
  CHECK(deadline.quorum_missed());
  SECTION("if it is still missing") {
    CHECK(deadline.pass(kAsked + 360s, false, 300s) == kGiveUp);
  }
  SECTION("but not if it is there") {
    CHECK(deadline.pass(kAsked + 360s, true, 300s) == kClose);
  }
}

TEST_CASE("a stop waits for some seconds, and never longer than before") {
  RoundDeadline deadline(kAsked, 60s);
  deadline.stop(kAsked + 10s);
  CHECK(deadline.at() == kAsked + 10s + kStopGrace);
  deadline.stop(kAsked + 11s);
  CHECK(deadline.at() == kAsked + 10s + kStopGrace);
}

}  // namespace mdgan::test
