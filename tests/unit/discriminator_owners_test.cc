// Which discriminator a peer that comes may have of those that it offers.
#include <optional>
#include <string>

#include "tests/support/catch.h"
#include "tests/support/core_server.h"

namespace mdgan::test {

namespace {

constexpr DiscriminatorId kOfA{std::uint64_t{1} << 32 | 1};
constexpr DiscriminatorId kOfB{std::uint64_t{1} << 32 | 2};
constexpr DiscriminatorId kOfC{std::uint64_t{1} << 32 | 3};

RunPosition position_of_two() {
  RunPosition position;
  position.completed = {20};
  position.names = {{"a", {0}}, {"b", {1}}};
  position.discriminators = {{{0}, kOfA}, {{1}, kOfB}};
  return position;
}

RunPosition position_of_three() {
  RunPosition position = position_of_two();
  position.names["c"] = {2};
  position.discriminators[{2}] = kOfC;
  return position;
}

// The second server of a run that has 20 rounds. Of the peers a and b of before
// a is there, with what it had, and b is not.
struct Resumed {
  explicit Resumed(std::uint32_t peers = 1,
                   const RunPosition& position = position_of_two())
      : s(
            [&] {
              CoordinatorConfig c = config(peers);
              c.k = 1;
              c.incarnation = 2;
              return c;
            }(),
            position) {
    offers("a", protocol::Held{RunId{}, {20}, kOfA});
  }
  // A peer says hello with this checkpoint. What the welcome tells it.
  protocol::Welcome offers(const std::string& name,
                           const std::optional<protocol::Held>& saved) {
    s.hello(++connection, name, [&](auto& h) {
      if (saved) h.saved = {*saved};
    });
    std::optional<protocol::Welcome> last;
    for (const ServerEffect& effect : s.effects)
      if (const auto* send = std::get_if<SendMessage>(&effect))
        if (const auto* welcome =
                std::get_if<protocol::Welcome>(&send->message.body))
          last = *welcome;
    REQUIRE(last.has_value());
    return *last;
  }
  DiscriminatorId of(const std::string& name) const {
    const RunPosition& position = s.coordinator.position();
    const auto it = position.discriminators.find(position.names.at(name));
    return it == position.discriminators.end() ? DiscriminatorId{} : it->second;
  }

  Server s;
  std::uint64_t connection = 0;
};

}  // namespace

TEST_CASE("a newcomer does not get what a peer that is there has") {
  Resumed run;
  const auto welcome = run.offers("c", protocol::Held{RunId{}, {20}, kOfA});
  CHECK(welcome.start == protocol::Start::kReceive);
  CHECK(run.of("a") == kOfA);
  CHECK(run.of("c") != kOfA);
}

TEST_CASE("a newcomer gets an absent peer's, if that has no later state") {
  Resumed run;
  const auto welcome = run.offers("c", protocol::Held{RunId{}, {20}, kOfB});
  CHECK(welcome.start == protocol::Start::kRestore);
  CHECK(welcome.discriminator == kOfB);
  CHECK(run.of("c") == kOfB);
  CHECK(run.of("b") == DiscriminatorId{});
  // It is one peer's alone: the other gets a copy when it is back.
  const auto late = run.offers("b", protocol::Held{RunId{}, {20}, kOfB});
  CHECK(late.start == protocol::Start::kReceive);
  CHECK(run.of("c") == kOfB);
}

TEST_CASE("what an absent peer has trained on is not given away") {
  Resumed run(2);
  run.offers("b", protocol::Held{RunId{}, {20}, kOfB});
  run.s.answer_to(1, {21}, {0}, 0);
  run.s.answer_to(2, {21}, {1}, 0);
  REQUIRE(run.s.coordinator.position().completed == Round{21});
  run.s.feed(ConnectionLost{{2}});
  const auto older = run.offers("c", protocol::Held{RunId{}, {20}, kOfB});
  CHECK(older.start == protocol::Start::kReceive);
  CHECK(run.of("b") == kOfB);
  const auto as_new = run.offers("d", protocol::Held{RunId{}, {21}, kOfB});
  CHECK(as_new.start == protocol::Start::kRestore);
  CHECK(run.of("d") == kOfB);
  CHECK(run.of("b") == DiscriminatorId{});
}

TEST_CASE("what an absent peer is to have in place of its own is free") {
  Resumed run(3, position_of_three());
  run.offers("b", protocol::Held{RunId{}, {20}, kOfB});
  run.offers("c", protocol::Held{RunId{}, {20}, kOfC});
  for (std::uint32_t i = 0; i < 3; ++i) run.s.answer_to(i + 1, {21}, {i}, 0);
  REQUIRE(run.s.coordinator.position().completed == Round{21});
  run.s.feed(ConnectionLost{{2}});
  run.s.feed(ConnectionLost{{3}});
  // c has lost its own and has that of b, which is to have c's: it has had no
  // state of it, though it has answered later than d's is.
  run.offers("c", protocol::Held{RunId{}, {21}, kOfB});
  REQUIRE(run.of("b") == kOfC);
  const auto welcome = run.offers("d", protocol::Held{RunId{}, {20}, kOfC});
  CHECK(welcome.start == protocol::Start::kRestore);
  CHECK(run.of("d") == kOfC);
}

TEST_CASE("what a peer has brought is not given away for an older state") {
  Resumed run(3, position_of_three());
  run.offers("c", protocol::Held{RunId{}, {40}, kOfB});
  REQUIRE(run.of("c") == kOfB);
  run.s.feed(ConnectionLost{{2}});
  const auto older = run.offers("b", protocol::Held{RunId{}, {30}, kOfB});
  CHECK(older.start == protocol::Start::kReceive);
  CHECK(run.of("c") == kOfB);
}

TEST_CASE("what a peer has brought is as free as when it came") {
  Resumed run(3, position_of_three());
  run.offers("b", protocol::Held{RunId{}, {20}, kOfB});
  run.offers("c", protocol::Held{RunId{}, {20}, kOfC});
  for (std::uint32_t i = 0; i < 3; ++i) run.s.answer_to(i + 1, {21}, {i}, 0);
  run.s.feed(ConnectionLost{{2}});
  run.s.answer_to(1, {22}, {0}, 0);
  run.s.answer_to(3, {22}, {2}, 0);
  REQUIRE(run.s.coordinator.position().completed == Round{22});
  run.s.feed(ConnectionLost{{3}});
  run.offers("c", protocol::Held{RunId{}, {21}, kOfB});
  REQUIRE(run.of("c") == kOfB);
  run.s.feed(ConnectionLost{{4}});
  // c has answered round 22, but not with this one.
  const auto same = run.offers("b", protocol::Held{RunId{}, {21}, kOfB});
  CHECK(same.start == protocol::Start::kRestore);
  CHECK(run.of("b") == kOfB);
}

TEST_CASE("what no server has named yet is nobody's to offer") {
  Resumed run;
  const DiscriminatorId next{std::uint64_t{2} << 32 | 1};
  const auto welcome = run.offers("c", protocol::Held{RunId{}, {20}, next});
  CHECK(welcome.start == protocol::Start::kReceive);
}

TEST_CASE("what an open exchange brings to a peer is not another's") {
  Resumed run;
  run.offers("c", std::nullopt);  // gets a copy
  std::optional<DiscriminatorId> copy;
  for (const ServerEffect& effect : run.s.effects)
    if (const auto* send = std::get_if<SendMessage>(&effect))
      if (const auto* plan = std::get_if<protocol::Swap>(&send->message.body);
          plan && plan->receives)
        copy = plan->discriminator;
  REQUIRE(copy.has_value());
  const auto welcome = run.offers("d", protocol::Held{RunId{}, {20}, *copy});
  CHECK(welcome.start == protocol::Start::kReceive);
}

}  // namespace mdgan::test
