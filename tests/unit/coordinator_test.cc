// Single situations of rounds, swaps and the run's end that the simulation
// meets too rarely.
#include "server/core/coordinator.h"

#include <algorithm>
#include <map>
#include <set>

#include "tests/support/catch.h"
#include "tests/support/core_server.h"

namespace mdgan::test {

using namespace std::chrono_literals;

TEST_CASE("k is max(2, floor(log2 N)) capped at N") {
  CHECK(default_k(1) == 1);
  CHECK(default_k(2) == 2);
  CHECK(default_k(7) == 2);
  CHECK(default_k(8) == 3);
  CHECK(default_k(10) == 3);
  CHECK(default_k(50) == 5);
}

TEST_CASE("the swap period is floor(m E / b), at least 1, and 0 is never") {
  CHECK(swap_period(6000, 1, 10) == 600);
  CHECK(swap_period(133, 0.5, 10) == 6);
  CHECK(swap_period(5, 1, 10) == 1);
  CHECK(swap_period(6000, 0, 10) == 0);
}

TEST_CASE("a swap cycle has no fixed point and is one cycle") {
  const auto n = GENERATE(2U, 3U, 7U, 50U);
  std::vector<PeerId> peers;
  for (std::uint32_t i = 0; i < n; ++i) peers.push_back({2 * i + 1});
  const auto edges = draw_swap_cycle(peers, 9, {77});
  PeerId at = peers[0];
  for (std::uint32_t step = 1; step <= n; ++step) {
    at = std::ranges::find(edges, at, &SwapEdge::source)->target;
    CHECK((at == peers[0]) == (step == n));
  }
  CHECK(edges == draw_swap_cycle(peers, 9, {77}));
}

TEST_CASE("fault 34: peers hear whether the run is to go on by itself") {
  const ExitCode code = GENERATE(ExitCode::kOk, ExitCode::kStopped);
  Server s(config(1));
  s.hello(1, "a");
  s.feed(StopRequested{code});
  s.answer(1, {0}, 0);
  REQUIRE(s.finish() != nullptr);
  CHECK(s.finish()->code == code);
  const auto& sent = std::get<SendMessage>(s.effects[s.effects.size() - 2]);
  const auto& bye = std::get<protocol::Goodbye>(sent.message.body);
  CHECK(bye.reason == protocol::Reason::kStopped);
  CHECK(bye.again == (code == ExitCode::kStopped));
}

TEST_CASE("the generator does not step on fewer answers than the quorum") {
  Server s(config(4));
  for (std::uint64_t i = 1; i <= 4; ++i) s.hello(i, std::to_string(i));
  s.answer(1, {0}, 0);
  for (std::uint64_t i = 2; i <= 4; ++i) s.feed(ConnectionLost{{i}});
  CHECK(s.count<StepGenerator>() == 0);
  // With two of four back the round is asked anew.
  s.hello(7, "2", [](auto& h) { h.nonce = 70; });
  CHECK(s.sent<protocol::RoundBegin>() == 6);
  s.answer(1, {0}, 0);
  s.answer(7, {1}, 1);
  CHECK(s.count<StepGenerator>() == 1);
}

TEST_CASE("who crashes again and again does not end the run") {
  CoordinatorConfig c = config(1);
  Server s(c);
  for (std::uint64_t life = 1; life <= 20; ++life) {
    s.hello(life, "a");
    s.feed(ConnectionLost{{life}});
  }
  CHECK(s.finish() == nullptr);
}

TEST_CASE("fl-gan's rounds are as many as E epochs of the smallest shard") {
  CoordinatorConfig config;
  config.algorithm = Algorithm::kFlGan;
  config.batch = 10;
  config.swap_epochs = 0.5;
  config.rounds = 120;
  config.min_peers = 2;
  config.checkpoint_every = 100;
  Server server(config);
  const auto can = [](protocol::Hello& hello) { hello.abilities = {"fl-gan"}; };
  server.hello(1, "a", can);
  server.hello(2, "b", [&](protocol::Hello& hello) {
    can(hello);
    hello.shard_size = 2000;
  });
  std::vector<std::pair<std::uint64_t, std::uint32_t>> rounds;
  for (const std::uint64_t round : {50UL, 100UL, 120UL}) {
    for (const std::uint32_t peer : {0U, 1U}) {
      protocol::Message message{config.run,
                                config.incarnation,
                                {round},
                                PeerId{peer},
                                protocol::Feedback{0, 0, 0, 0, {}}};
      server.feed(MessageArrived{{peer + 1}, message, ""});
    }
  }
  for (const ServerEffect& effect : server.effects) {
    if (const auto* step = std::get_if<StepGenerator>(&effect)) {
      rounds.emplace_back(step->round.value, step->steps);
      REQUIRE(step->contributors.size() == 2);
      CHECK(step->contributors[1].shard_size == 2000);
    }
    if (const auto* sent = std::get_if<SendMessage>(&effect))
      CHECK_FALSE(std::holds_alternative<protocol::Swap>(sent->message.body));
  }
  using Rounds = std::vector<std::pair<std::uint64_t, std::uint32_t>>;
  CHECK((rounds == Rounds{{50, 50}, {100, 50}, {120, 20}}));
  // Before the first, where the rounds pass 100, and at the end.
  CHECK(server.count<SaveCheckpoint>() == 3);
}

TEST_CASE("fl-gan waits for its local rounds before it gives a peer up") {
  CoordinatorConfig config;
  config.algorithm = Algorithm::kFlGan;
  config.rounds = 600;
  config.swap_epochs = 6;  // 600 rounds of 10 from 1,000 images
  config.min_peers = 1;
  Server server(config);
  server.hello(1, "slow",
               [](protocol::Hello& hello) { hello.abilities = {"fl-gan"}; });
  for (int i = 0; i < 40; ++i) server.wait(10s);  // six round-timeouts
  CHECK(server.coordinator.live_peers() == 1);
  CHECK(server.coordinator.counters().lost_peers == 0);
  const protocol::Message message{config.run,
                                  config.incarnation,
                                  {600},
                                  PeerId{0},
                                  protocol::Feedback{0, 0, 0, 0, {}}};
  server.feed(MessageArrived{{1}, message, ""});
  REQUIRE(server.finish() != nullptr);
  CHECK(server.finish()->code == ExitCode::kOk);
}

TEST_CASE(
    "no claim of a shard's size makes fl-gan's rounds longer than the run") {
  CoordinatorConfig config;
  config.algorithm = Algorithm::kFlGan;
  config.rounds = 70;
  config.min_peers = 1;
  Server server(config);
  server.hello(1, "boaster", [](protocol::Hello& hello) {
    hello.abilities = {"fl-gan"};
    hello.shard_size = ~std::uint64_t{0};
  });
  server.wait(131s);  // 60 s, and one for each further round
  CHECK(server.coordinator.live_peers() == 1);
  REQUIRE(server.coordinator.next_deadline());
  CHECK(*server.coordinator.next_deadline() < server.now + 24h);
  const protocol::Message message{config.run,
                                  config.incarnation,
                                  {70},
                                  PeerId{0},
                                  protocol::Feedback{0, 0, 0, 0, {}}};
  server.feed(MessageArrived{{1}, message, ""});
  REQUIRE(server.finish() != nullptr);
  CHECK(server.coordinator.position().completed == Round{70});
}

TEST_CASE("fault 13: of two answers to a round the first counts") {
  Server s(config(2));
  s.hello(1, "a");
  s.hello(2, "b");
  s.answer(1, {0}, 0);
  s.answer(1, {0}, 0, "not finite");
  s.answer(1, {0}, 0);
  CHECK(s.coordinator.counters().unexpected == 2);
  CHECK(s.coordinator.counters().invalid_feedback == 0);
  CHECK(s.count<KeepFeedback>() == 1);
  CHECK(s.coordinator.position().completed == Round{0});
  s.answer(2, {1}, 1);
  CHECK(s.coordinator.position().completed == Round{1});
  CHECK(s.coordinator.live_peers() == 2);
}

TEST_CASE("fault 11: who answers an older round is asked in the current one") {
  CoordinatorConfig c = config(3);
  c.k = 1;
  Server s(c);
  for (std::uint64_t i = 1; i <= 3; ++i) s.hello(i, std::to_string(i));
  const auto asked_in = [&](PeerId peer) {  // last
    Round round;
    for (const ServerEffect& effect : s.effects)
      if (const auto* send = std::get_if<SendMessage>(&effect);
          send && send->message.peer == peer &&
          std::holds_alternative<protocol::RoundBegin>(send->message.body))
        round = send->message.round;
    return round;
  };
  // The third is late in the first round, and is asked no more meanwhile.
  s.answer(1, {0}, 0);
  s.answer(2, {1}, 0);
  s.wait(61s);
  for (int i = 0; i < 2; ++i) {
    s.answer(1, {0}, 0);
    s.answer(2, {1}, 0);
  }
  CHECK(s.coordinator.position().completed == Round{3});
  CHECK(asked_in({2}) == Round{1});
  const auto stale = s.coordinator.counters().stale_feedback;
  const auto steps = s.count<StepGenerator>();
  s.answer_to(3, {1}, {2}, 0);
  CHECK(s.coordinator.counters().stale_feedback == stale + 1);
  CHECK(s.count<StepGenerator>() == steps);  // it counts for no round
  s.answer(1, {0}, 0);
  s.answer(2, {1}, 0);
  CHECK(s.coordinator.position().completed == Round{4});
  CHECK(asked_in({2}) == Round{5});
}

TEST_CASE(
    "fault 44: peers that were cut off come back with what they had, and "
    "count once") {
  CoordinatorConfig c = config(4);
  c.k = 1;
  Server s(c);
  for (std::uint64_t i = 1; i <= 4; ++i) s.hello(i, std::to_string(i));
  const auto round = [&](std::initializer_list<std::uint32_t> peers) {
    for (const std::uint32_t i : peers) s.answer(i + 1, {i}, 0);
  };
  round({0, 1, 2, 3});
  const auto before = s.coordinator.position().discriminators;
  for (std::uint64_t i : {3U, 4U}) s.feed(ConnectionLost{{i}});
  for (int i = 0; i < 5; ++i) round({0, 1});
  CHECK(s.coordinator.position().completed == Round{6});
  // Half of them are a quorum; with fewer no round is begun.
  s.feed(ConnectionLost{{2}});
  round({0});
  round({0});
  CHECK(s.coordinator.position().completed == Round{7});
  CHECK(s.coordinator.stage() == RunStage::kWaiting);

  for (std::uint32_t i = 1; i < 4; ++i)
    s.hello(i + 11, std::to_string(i + 1), [&](auto& h) {
      h.nonce = i + 1;
      h.held = {RunId{}, Round{i == 1 ? 6U : 1U}, before.at({i})};
    });
  std::map<PeerId, protocol::Welcome> welcomes;
  for (const ServerEffect& effect : s.effects)
    if (const auto* send = std::get_if<SendMessage>(&effect))
      if (const auto* welcome =
              std::get_if<protocol::Welcome>(&send->message.body))
        welcomes[send->message.peer] = *welcome;
  for (std::uint32_t i = 1; i < 4; ++i) {
    CHECK(welcomes.at({i}).start == protocol::Start::kKeep);
    CHECK(welcomes.at({i}).discriminator == before.at({i}));
  }
  CHECK(s.coordinator.position().discriminators == before);
  CHECK(s.coordinator.live_peers() == 4);
  // What was on its way over the old connections counts for nobody.
  const Round now{s.coordinator.position().completed.value + 1};
  for (std::uint32_t i = 1; i < 4; ++i) s.answer_to(i + 1, now, {i}, 0);
  round({0});
  CHECK(s.coordinator.position().completed == Round{now.value - 1});
  for (int i = 0; i < 3; ++i) {
    for (std::uint32_t p = 1; p < 4; ++p) s.answer(p + 11, {p}, 0);
    round({0});
  }
  std::size_t last = 0;
  for (const ServerEffect& effect : s.effects)
    if (const auto* step = std::get_if<StepGenerator>(&effect)) {
      std::set<PeerId> peers;
      for (const Contributor& each : step->contributors)
        CHECK(peers.insert(each.peer).second);
      last = peers.size();
    }
  CHECK(last == 4);
}

TEST_CASE("fault 6: a frozen peer costs a round once some seconds") {
  Server s(config(3));
  for (std::uint64_t i = 1; i <= 3; ++i) s.hello(i, std::to_string(i));
  s.now += 100ms;
  s.answer(1, {0}, 0);
  s.answer(2, {1}, 1);
  CHECK(s.count<StepGenerator>() == 0);
  s.wait(3s);
  CHECK(s.count<StepGenerator>() == 1);
  CHECK(s.coordinator.view().members[2].slow);
  CHECK(s.coordinator.view().members[2].owes_since);
  // The next rounds do not wait for it at all.
  s.answer(1, {0}, 0);
  s.answer(2, {1}, 1);
  CHECK(s.count<StepGenerator>() == 2);
  // It answers the old round, and is asked again.
  protocol::Message late{
      RunId{}, 1, {1}, {2}, protocol::Feedback{0, 0, 0, 0, {}}};
  s.feed(MessageArrived{{3}, late, ""});
  CHECK(s.coordinator.counters().stale_feedback == 1);
  s.answer(1, {0}, 0);
  s.answer(2, {1}, 1);
  s.answer(3, {2}, 0);
  CHECK_FALSE(s.coordinator.view().members[2].slow);
}

}  // namespace mdgan::test
