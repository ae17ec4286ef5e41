// Single situations of swaps: who owns what, and how long one may take.
#include <algorithm>
#include <string>

#include "server/core/link_memory.h"
#include "tests/support/catch.h"
#include "tests/support/core_server.h"

namespace mdgan::test {

using namespace std::chrono_literals;

namespace {

// Shards of 1000, batches of 10: an epoch is 100 rounds.
CoordinatorConfig swapping(std::uint32_t peers, double epochs) {
  CoordinatorConfig c = config(peers);
  c.swap_epochs = epochs;
  c.quorum = 1;
  return c;
}

// Peers "0", "1", ... on connections 1, 2, ...
struct Swaps {
  explicit Swaps(std::uint32_t peers, double epochs = 0.01)
      : s(swapping(peers, epochs)), count(peers) {
    for (std::uint32_t i = 0; i < peers; ++i)
      s.hello(i + 1, std::to_string(i), [&](auto& h) {
        h.index = i;
        h.endpoint = "tcp://host-" + std::to_string(i) + ":1";
      });
  }
  void round() {
    for (std::uint32_t i = 0; i < count; ++i) s.answer(i + 1, {i}, i % k());
  }
  std::uint32_t k() const { return default_k(count); }
  void staged(PeerId peer, SwapId swap, bool ok = true,
              const std::string& reason = "") {
    s.feed(MessageArrived{
        {peer.value + 1},
        {RunId{}, 1, {}, peer, protocol::Staged{swap, ok, reason}},
        ""});
  }
  // The plans of the last swap, by peer.
  std::map<PeerId, protocol::Swap> plans() const {
    std::map<PeerId, protocol::Swap> all;
    for (const ServerEffect& e : s.effects)
      if (const auto* send = std::get_if<SendMessage>(&e))
        if (const auto* swap = std::get_if<protocol::Swap>(&send->message.body))
          all[send->message.peer] = *swap;
    return all;
  }
  const std::map<PeerId, DiscriminatorId>& owners() const {
    return s.coordinator.position().discriminators;
  }
  bool noted(const std::string& text) const {
    return std::ranges::any_of(s.effects, [&](const ServerEffect& e) {
      const auto* note = std::get_if<Note>(&e);
      return note && note->text.find(text) != std::string::npos;
    });
  }

  bool tells(NoteKind kind) const {
    return std::ranges::any_of(s.effects, [&](const ServerEffect& e) {
      const auto* note = std::get_if<Note>(&e);
      return note && note->kind == kind;
    });
  }

  Server s;
  std::uint32_t count;
};

}  // namespace

TEST_CASE("a shard far smaller than the others is told of: it makes swaps") {
  const auto told = [](std::uint64_t smallest, double epochs) {
    Server s(swapping(3, epochs));
    for (std::uint64_t i = 1; i <= 3; ++i)
      s.hello(i, "site-" + std::to_string(i), [&](auto& h) {
        if (i == 2) h.shard_size = smallest;
      });
    std::string text;
    for (const ServerEffect& e : s.effects)
      if (const auto* note = std::get_if<Note>(&e);
          note && note->warning && note->text.find("swap") != std::string::npos)
        text += note->text;
    return text;
  };
  // The others' 1000 are 100 batches.
  CHECK(told(20, 1).find("peer site-2 has 20 images") != std::string::npos);
  CHECK(told(20, 1).find("every 2 rounds") != std::string::npos);
  CHECK(told(200, 1).empty());
  CHECK(told(20, 0).empty());
}

TEST_CASE("a commit moves every discriminator's name, an abort none") {
  Swaps run(3);
  const auto before = run.owners();
  REQUIRE(before.size() == 3);
  run.round();
  const auto plans = run.plans();
  REQUIRE(plans.size() == 3);
  const SwapId swap = plans.begin()->second.swap;
  run.staged({0}, swap);
  run.staged({1}, swap);
  CHECK(run.owners() == before);
  SECTION("committed") {
    run.staged({2}, swap);
    for (const auto& [peer, plan] : plans) {
      CHECK(run.owners().at(peer) == before.at(plan.source));
      CHECK(plan.discriminator == before.at(plan.source));
    }
    CHECK(run.s.sent<protocol::Commit>() == 3);
    CHECK(run.tells(NoteKind::kSwap));
    for (const ServerEffect& effect : run.s.effects)
      if (const auto* note = std::get_if<Note>(&effect);
          note && note->kind == NoteKind::kSwap) {
        CHECK(note->edges.size() == 3);
        for (const SwapEdge& edge : note->edges)
          CHECK(plans.at(edge.target).source == edge.source);
      }
    CHECK_FALSE(run.tells(NoteKind::kSwapAborted));
  }
  SECTION("aborted") {
    run.staged({2}, swap, false, "not finite");
    CHECK(run.owners() == before);
    CHECK(run.s.sent<protocol::Abort>() == 3);
    CHECK(run.tells(NoteKind::kSwapAborted));
    CHECK_FALSE(run.tells(NoteKind::kSwap));
  }
}

TEST_CASE("each edge of a swap has a token of its own") {
  Swaps run(3);
  run.round();
  std::set<std::uint64_t> tokens;
  const auto plans = run.plans();
  for (const auto& [peer, plan] : plans) {
    tokens.insert(plan.send_token);
    CHECK(plans.at(plan.target).receive_token == plan.send_token);
  }
  CHECK(tokens.size() == 3);
}

TEST_CASE("fault 5: who misses the commit has its new one by the next hello") {
  Swaps run(2);
  run.round();
  const auto plans = run.plans();
  run.staged({0}, plans.at({0}).swap);
  run.staged({1}, plans.at({1}).swap);
  const DiscriminatorId own = run.owners().at({1});
  REQUIRE(own == plans.at({1}).discriminator);
  run.s.hello(9, "1", [&](auto& h) {  // its connection broke
    h.nonce = 2;
    h.held = {RunId{}, {1}, plans.at({0}).discriminator};  // the old one
    h.saved = {{RunId{}, {1}, own}};                       // what it staged
  });
  const auto welcome = [&] {
    protocol::Welcome last;
    for (const ServerEffect& e : run.s.effects)
      if (const auto* send = std::get_if<SendMessage>(&e))
        if (const auto* w = std::get_if<protocol::Welcome>(&send->message.body))
          last = *w;
    return last;
  }();
  CHECK(welcome.start == protocol::Start::kRestore);
  CHECK(welcome.restore == Round{1});
  CHECK(welcome.discriminator == own);
}

TEST_CASE(
    "fault 43: a swap that does not come through costs seconds, is told "
    "by name and address, and is gone around") {
  Swaps run(3);
  run.round();
  const auto plans = run.plans();
  const SwapId swap = plans.begin()->second.swap;
  run.staged({0}, swap);
  run.staged({1}, swap);
  CHECK(run.s.coordinator.stage() == RunStage::kSwapping);
  run.s.wait(10s);
  CHECK(run.s.coordinator.stage() == RunStage::kCollecting);
  const PeerId source = plans.at({2}).source;
  CHECK(run.noted("what peer " + std::to_string(source.value) +
                  " sends to peer 2 at tcp://host-2:1 had not come through"));
  // Three peers have two cycles: the other one is drawn, four times.
  SwapId last = swap;
  for (int i = 0; i < 4; ++i) {
    run.round();
    const auto next = run.plans();
    CHECK(next.at({2}).swap != last);
    CHECK(next.at({2}).source != source);
    last = next.at({2}).swap;
    for (std::uint32_t peer = 0; peer < 3; ++peer) run.staged({peer}, last);
  }
}

TEST_CASE(
    "fault 43: a first swap of which nothing is heard costs ten seconds") {
  Swaps run(2);
  run.round();
  run.s.wait(9s);
  CHECK(run.s.coordinator.stage() == RunStage::kSwapping);
  run.s.wait(1s);
  CHECK(run.s.coordinator.stage() == RunStage::kCollecting);
}

TEST_CASE("two peers that cannot reach each other do not stop training") {
  Swaps run(2);
  int swaps = 0;
  Duration stalled{};
  for (int i = 0; i < 200; ++i) {
    run.round();
    while (run.s.coordinator.stage() == RunStage::kSwapping) {
      ++swaps;
      run.s.wait(1s);
      stalled += 1s;
    }
  }
  CHECK(run.s.coordinator.position().completed == Round{200});
  CHECK(swaps > 5);
  CHECK(stalled < 200s);
}

TEST_CASE("what a link has done before is forgotten when its peer moves") {
  LinkMemory links;
  const TimePoint then{1h};
  const TimePoint later = then + 60s;
  links.begin_swap();
  CHECK(links.failed({1}, {2}, 3s, then).swaps == 4);
  CHECK(links.avoided({1}, {2}, later));
  CHECK_FALSE(links.avoided({2}, {1}, later));
  for (int i = 0; i < 4; ++i) {
    links.begin_swap();
    CHECK(links.avoided({1}, {2}, later));
  }
  links.begin_swap();
  CHECK(links.avoided({1}, {2}, later - 1s));  // 20 times what it has cost
  CHECK_FALSE(links.avoided({1}, {2}, later));
  CHECK(links.failed({1}, {2}, 3s, later).swaps == 16);
  links.forget({2});
  CHECK_FALSE(links.avoided({1}, {2}, later));
}

TEST_CASE("who joins late does not make swaps more frequent") {
  Swaps run(2, 0.1);  // after every tenth round
  run.round();
  run.s.hello(3, "2", [](auto& h) {
    h.index = 2;
    h.shard_size = 10;
  });
  run.staged({2}, run.plans().at({2}).swap);
  REQUIRE(run.s.coordinator.live_peers() == 3);
  run.round();  // which began before it was there
  run.count = 3;
  for (std::uint64_t i = 2; i < 9; ++i) {
    CHECK(run.s.coordinator.position().completed == Round{i});
    run.round();
  }
  CHECK(run.s.coordinator.position().last_swap == Round{0});
  run.round();
  CHECK(run.s.coordinator.position().last_swap == Round{10});
}

TEST_CASE("a cycle goes around links, and leaves out who has no other") {
  const std::vector<PeerId> peers{{0}, {1}, {2}, {3}};
  const auto to_three = [](PeerId, PeerId target) { return target.value == 3; };
  const auto edges = draw_swap_cycle(peers, 1, {5}, to_three);
  CHECK(edges.size() == 3);
  for (const SwapEdge& edge : edges) CHECK(edge.target != PeerId{3});
  CHECK(draw_swap_cycle(peers, 1, {5}, [](PeerId, PeerId) {
          return true;
        }).empty());
}

}  // namespace mdgan::test
