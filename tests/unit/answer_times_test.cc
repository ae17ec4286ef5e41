// How long peers take to answer, as the coordinator keeps and shows it.
#include "server/core/answer_times.h"

#include "tests/support/catch.h"
#include "tests/support/core_server.h"

namespace mdgan::test {

using namespace std::chrono_literals;

TEST_CASE("answer times are told of the newest answers, by rank") {
  AnswerTimes times;
  CHECK_FALSE(times.within(0.5));
  times.add(3s);
  CHECK(times.within(0.5) == 3.0);
  CHECK(times.within(0.95) == 3.0);
  for (int i = 1; i <= 20; ++i) times.add(std::chrono::seconds(i));
  // 1, 2, 3, 3, 4 ... 20: the 11th and the 20th of 21.
  CHECK(times.within(0.5) == 10.0);
  CHECK(times.within(0.95) == 19.0);
  CHECK(times.within(1) == 20.0);
  for (std::size_t i = 0; i < AnswerTimes::kKept; ++i) times.add(2s);
  CHECK(times.within(1) == 2.0);
}

TEST_CASE("the histogram of answers counts each at its bound or below") {
  AnswerHistogram histogram;
  histogram.add(5ms);
  histogram.add(6ms);
  histogram.add(31s);
  CHECK(histogram.counts.front() == 1);
  CHECK(histogram.counts[1] == 1);
  CHECK(histogram.counts.back() == 1);
  CHECK(histogram.sum == Approx(31.011));
}

TEST_CASE("a peer's answer time runs from when it is asked, late or not") {
  CoordinatorConfig few = config(2);
  few.quorum = 0.5;
  Server s(few);
  s.hello(1, "a");
  s.hello(2, "b");
  CHECK_FALSE(s.coordinator.view().members[0].answer_p50);
  s.now += 2s;
  s.answer(1, {0}, 0);
  s.wait(20s);  // the round goes on without b
  const std::uint64_t late = s.coordinator.position().completed.value;
  REQUIRE(late == 1);
  s.answer_to(2, {1}, {1}, 1);
  const CoordinatorView view = s.coordinator.view();
  CHECK(view.members[0].answer_p50 == 2.0);
  CHECK(view.members[1].answer_p50 == 22.0);
  CHECK(view.members[1].answer_p95 == 22.0);
  CHECK(view.answers.sum == Approx(24));
  // What nobody asked for is no answer.
  s.answer_to(2, {1}, {1}, 1);
  CHECK(s.coordinator.view().answers.sum == Approx(24));
}

}  // namespace mdgan::test
