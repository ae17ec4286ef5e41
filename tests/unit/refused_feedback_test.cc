// Answers that do not count, and peers whose answers never do.
#include <algorithm>

#include "tests/support/catch.h"
#include "tests/support/core_server.h"

namespace mdgan::test {

using namespace std::chrono_literals;

TEST_CASE("fault 12, fault 17: who answers nothing but rubbish is set aside") {
  CoordinatorConfig c = config(3);
  Server s(c);
  for (std::uint64_t i = 1; i <= 3; ++i) s.hello(i, std::to_string(i));
  for (int round = 0; round < 5; ++round) {
    s.answer(1, {0}, 0, "not finite");
    s.answer(2, {1}, 1);
    s.answer(3, {2}, 0);
  }
  s.answer(2, {1}, 0);
  s.answer(3, {2}, 1);
  CHECK(s.coordinator.position().completed == Round{6});
  CHECK(s.coordinator.live_peers() == 2);
  CHECK(s.sent<protocol::ErrorReply>() == 1);
  // The same process is not taken again, one that was started anew is, after a
  // minute.
  s.hello(7, "1", [](auto& h) { h.nonce = 1; });
  CHECK(s.sent<protocol::ErrorReply>() == 2);
  CHECK(s.coordinator.view().members[0].presence == Presence::kAbsent);
  s.now += std::chrono::minutes(1);
  s.hello(8, "1", [](auto& h) { h.nonce = 2; });
  CHECK(s.coordinator.view().members[0].presence == Presence::kCopying);
}

TEST_CASE("fault 18: a feedback far longer than the others' is not used") {
  CoordinatorConfig c = config(3);
  c.k = 1;
  c.rounds = 6;
  Server s(c);
  for (std::uint64_t i = 1; i <= 3; ++i) s.hello(i, std::to_string(i));
  const auto round = [&](double third) {
    s.answer(1, {0}, 0, "", 0.5);
    s.answer(2, {1}, 0, "", 2);
    s.answer(3, {2}, 0, "", third);
  };
  const auto contributors = [&] {
    std::size_t last = 0;
    for (const ServerEffect& e : s.effects)
      if (const auto* step = std::get_if<StepGenerator>(&e))
        last = step->contributors.size();
    return last;
  };
  // A hundred times the median 1.25 of the others is still used. One that
  // counts starts the count of those in a row anew.
  for (int i = 0; i < 4; ++i) round(126);
  CHECK(contributors() == 2);
  round(124);
  CHECK(contributors() == 3);
  CHECK(s.coordinator.counters().invalid_feedback == 4);
  CHECK(s.coordinator.live_peers() == 3);
  round(1e30);
  CHECK(contributors() == 2);
  CHECK(s.coordinator.position().completed == Round{6});
}

TEST_CASE(
    "fault 18: who sends five such in a row is set aside, and stays so "
    "over a restart") {
  CoordinatorConfig c = config(3);
  c.k = 1;
  RunPosition saved;
  {
    Server s(c);
    for (std::uint64_t i = 1; i <= 3; ++i) s.hello(i, std::to_string(i));
    for (int i = 0; i < 5; ++i) {
      CHECK(s.coordinator.live_peers() == 3);
      s.answer(3, {2}, 0, "", 1e6);
      s.answer(1, {0}, 0, "", 1);
      s.answer(2, {1}, 0, "", 1);
    }
    CHECK(s.coordinator.live_peers() == 2);
    CHECK(s.sent<protocol::ErrorReply>() == 1);
    saved = s.coordinator.position();
    CHECK(saved.completed == Round{5});
  }
  c.incarnation = 2;
  Server s(c, saved);
  s.hello(1, "3", [](auto& h) { h.nonce = 3; });
  CHECK(s.count<ReportRefusal>() == 1);
  CHECK(s.coordinator.live_peers() == 0);
  s.now += std::chrono::seconds(30);
  s.hello(2, "3", [](auto& h) { h.nonce = 4; });  // started anew, too soon
  CHECK(s.count<ReportRefusal>() == 2);
  s.now += std::chrono::seconds(30);
  s.hello(2, "3", [](auto& h) { h.nonce = 4; });
  CHECK(s.count<ReportRefusal>() == 2);
  CHECK(s.coordinator.position().set_aside.empty());
}

TEST_CASE("fault 18: a round of which too little is left is asked anew") {
  CoordinatorConfig c = config(1);
  Server s(c);
  s.hello(1, "alone");
  for (int i = 0; i < 4; ++i) s.answer(1, {0}, 0, "", 2e4);
  CHECK(s.coordinator.position().completed == Round{0});
  s.answer(1, {0}, 0, "", 9e3);
  CHECK(s.coordinator.position().completed == Round{1});
  for (int i = 0; i < 5; ++i) s.answer(1, {0}, 0, "", 2e4);
  REQUIRE(s.finish() != nullptr);
  CHECK(s.finish()->code == ExitCode::kDiverged);
}

}  // namespace mdgan::test
