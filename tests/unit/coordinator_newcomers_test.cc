// Who is of a run, and what those who came late are not counted for.
#include "tests/support/catch.h"
#include "tests/support/core_server.h"

namespace mdgan::test {

using namespace std::chrono_literals;

TEST_CASE("a run remembers who trained, not who came and went") {
  Server s(config(1));
  s.hello(1, "a");
  s.answer(1, {0}, 0);
  for (std::uint64_t i = 2; i < 50; ++i) {
    s.hello(i, "stranger-" + std::to_string(i));
    s.feed(ConnectionLost{{i}});
  }
  CHECK(s.coordinator.view().members.size() == 1);
  CHECK(s.coordinator.position().names.size() == 1);
  s.feed(ConnectionLost{{1}});
  CHECK(s.coordinator.position().names.contains("a"));
}

TEST_CASE("who came and went before training is not of the run") {
  Server s(config(2));
  for (std::uint64_t i = 10; i < 60; ++i) {
    s.hello(i, "stranger-" + std::to_string(i));
    s.feed(ConnectionLost{{i}});
  }
  s.hello(1, "a");
  s.hello(2, "b");
  CHECK(s.count<GenerateBatches>() == 1);
  CHECK(s.coordinator.view().members.size() == 2);
  CHECK(s.coordinator.position().names.size() == 2);
}

TEST_CASE("who was set aside before training stays so when it starts") {
  Server s(config(2));
  s.hello(9, "bad");
  for (int i = 0; i < kInvalidAttempts; ++i) s.answer_to(9, {5}, {0}, 0);
  REQUIRE(s.coordinator.position().set_aside.contains({0}));
  s.hello(1, "a");
  s.hello(2, "b");
  REQUIRE(s.count<GenerateBatches>() == 1);
  CHECK(s.coordinator.position().set_aside.contains({0}));
}

TEST_CASE("no quorum waits for those who came late and have not answered") {
  CoordinatorConfig c = config(2);
  c.algorithm = Algorithm::kDataParallel;  // without a copy they are in at once
  c.k = 1;
  Server s(c);
  s.join(1, "a");
  s.join(2, "b");
  const auto both = [&] {
    s.answer(1, {0}, 0);
    s.answer(2, {1}, 0);
  };
  both();
  for (std::uint64_t i = 3; i < 30; ++i)
    s.join(i, "silent-" + std::to_string(i));
  both();  // the round that they came in
  const auto steps = s.count<StepGenerator>();
  both();
  CHECK(s.count<StepGenerator>() == steps);  // it waits for all that are asked
  s.wait(c.round_timeout);
  CHECK(s.count<StepGenerator>() == steps + 1);  // but no quorum does
  // Who has answered counts.
  s.answer(1, {0}, 0);
  CHECK(s.count<StepGenerator>() == steps + 1);
}

TEST_CASE("who came late and has not answered takes no participant's place") {
  CoordinatorConfig c = config(2);
  c.algorithm = Algorithm::kDataParallel;  // without a copy they are in at once
  c.k = 1;
  c.participants = 2;
  Server s(c);
  s.join(1, "a");
  s.join(2, "b");
  for (std::uint64_t i = 3; i < 30; ++i)
    s.join(i, "silent-" + std::to_string(i));
  for (int round = 1; round < 10; ++round) {
    s.answer(1, {0}, 0);
    s.answer(2, {1}, 0);
    s.wait(c.round_timeout);
    CHECK(s.count<StepGenerator>() == static_cast<std::size_t>(round));
  }
}

TEST_CASE("where nobody has answered yet, no participant is drawn") {
  CoordinatorConfig c = config(1);
  c.algorithm = Algorithm::kDataParallel;
  c.k = 1;
  c.participants = 1;
  Server s(c);
  s.join(1, "a");
  for (std::uint64_t i = 3; i < 30; ++i)
    s.join(i, "silent-" + std::to_string(i));
  // a did not get the question, and is one of the newcomers from now on.
  for (int i = 0; i < 3; ++i) s.wait(c.round_timeout);
  s.join(1, "a");
  for (int i = 0; i < 3; ++i) s.wait(c.round_timeout);
  s.answer(1, s.coordinator.position().names.at("a"), 0);
  CHECK(s.count<StepGenerator>() == 1);
}

TEST_CASE("a checkpoint has nobody who came late and has not answered") {
  CoordinatorConfig c = config(1);
  c.algorithm = Algorithm::kDataParallel;
  c.k = 1;
  Server s(c);
  s.join(1, "a");
  s.join(2, "late");
  s.join(3, "silent");
  s.answer(1, {0}, 0);  // the round that they came in
  s.answer(1, {0}, 0);
  s.answer(2, {1}, 0);
  s.join(4, "bad");
  for (int i = 0; i < kInvalidAttempts; ++i) s.answer_to(4, {100}, {3}, 0);
  CHECK(s.coordinator.position().names.size() == 4);
  const RunPosition saved = s.coordinator.position_to_save();
  CHECK(saved.names.size() == 3);
  CHECK_FALSE(saved.names.contains("silent"));
  CHECK(saved.set_aside.contains({3}));  // and stays so
}

TEST_CASE("a donor sends two copies at a time") {
  RunPosition position;
  position.completed = {20};
  position.names = {{"a", {0}}};
  position.discriminators = {{{0}, {7}}};
  Server s(config(1), position);
  s.hello(1, "a", [](auto& h) { h.saved = {{RunId{}, {20}, {7}}}; });
  for (std::uint64_t i = 2; i < 40; ++i) s.hello(i, std::to_string(i));
  CHECK(s.sent<protocol::Swap>() == 4);  // two donors' and two receivers'
}

}  // namespace mdgan::test
