// Rounds that are asked ahead of the one that is to be stepped next: what the
// server asks and when, and in what order a peer answers.
#include <algorithm>
#include <vector>

#include "protocol/tensor_codecs.h"
#include "tests/support/catch.h"
#include "tests/support/core_server.h"
#include "tests/support/core_session.h"

namespace mdgan::test {
namespace {

using namespace std::chrono_literals;
using Rounds = std::vector<std::uint64_t>;

CoordinatorConfig stale(std::uint32_t staleness, std::uint32_t peers = 1) {
  CoordinatorConfig c = config(peers);
  c.staleness = staleness;
  return c;
}

void join_two(Server& s) {
  s.join(1, "a");
  s.join(2, "b");
}

// The peer of this number, on connection number + 1, answers in these rounds.
void answer(Server& s, std::uint32_t peer,
            const std::vector<std::uint64_t>& rounds) {
  for (const std::uint64_t round : rounds)
    s.answer_to(peer + 1, {round}, {peer}, peer);
}

// The rounds in which this peer was asked, in order.
Rounds asked(const Server& s, PeerId peer = {0}) {
  Rounds rounds;
  for (const ServerEffect& effect : s.effects)
    if (const auto* sent = std::get_if<SendMessage>(&effect))
      if (sent->message.peer == peer &&
          std::holds_alternative<protocol::RoundBegin>(sent->message.body))
        rounds.push_back(sent->message.round.value);
  return rounds;
}

template <typename Effect>
Rounds rounds_of(const Server& s) {
  Rounds rounds;
  for (const ServerEffect& effect : s.effects)
    if (const auto* found = std::get_if<Effect>(&effect))
      rounds.push_back(found->round.value);
  return rounds;
}

}  // namespace

TEST_CASE("peers are asked ahead as many rounds as staleness says",
          "[staleness]") {
  Server s(stale(2));
  s.join(1, "a");
  CHECK((asked(s) == Rounds{1, 2, 3}));
  answer(s, 0, {1});
  CHECK((asked(s) == Rounds{1, 2, 3, 4}));
  answer(s, 0, {2});
  answer(s, 0, {3});
  CHECK((asked(s) == Rounds{1, 2, 3, 4, 5, 6}));
  CHECK((rounds_of<StepGenerator>(s) == Rounds{1, 2, 3}));
}

TEST_CASE("a round's batches come from the weights of S steps before",
          "[staleness]") {
  Server s(stale(2, 2));
  join_two(s);
  for (std::uint64_t round = 1; round <= 20; ++round)
    for (const std::uint32_t peer : {0U, 1U}) answer(s, peer, {round});
  std::uint64_t stepped = 0;
  for (const ServerEffect& effect : s.effects) {
    if (const auto* step = std::get_if<StepGenerator>(&effect))
      stepped = step->round.value;
    if (const auto* made = std::get_if<GenerateBatches>(&effect))
      CHECK(stepped == (made->round.value <= 3 ? 0 : made->round.value - 3));
  }
  CHECK(stepped == 20);
}

TEST_CASE("steps come in the order of rounds, whatever the answers' order",
          "[staleness]") {
  Server s(stale(2, 2));
  join_two(s);
  answer(s, 0, {1, 2, 3});
  answer(s, 1, {3, 2});
  CHECK(s.count<StepGenerator>() == 0);
  answer(s, 1, {1});
  CHECK((rounds_of<StepGenerator>(s) == Rounds{1, 2, 3}));
}

TEST_CASE("no round is asked ahead over a checkpoint", "[staleness]") {
  CoordinatorConfig c = stale(4);
  c.checkpoint_every = 3;
  Server s(c);
  s.join(1, "a");
  CHECK((asked(s) == Rounds{1, 2, 3}));
  answer(s, 0, {1, 2});
  CHECK((asked(s) == Rounds{1, 2, 3}));
  answer(s, 0, {3});
  // One before the first round, one here: of what all have learned.
  CHECK((rounds_of<SaveCheckpoint>(s) == Rounds{0, 3}));
  CHECK((asked(s) == Rounds{1, 2, 3, 4, 5, 6}));
}

TEST_CASE("no round is asked ahead over a swap", "[staleness]") {
  CoordinatorConfig c = stale(4, 2);
  c.swap_epochs = 1;
  c.batch = 500;  // of 1000: every 2 rounds
  Server s(c);
  join_two(s);
  CHECK((asked(s) == Rounds{1, 2}));
  for (const std::uint32_t peer : {0U, 1U}) answer(s, peer, {1, 2});
  CHECK(s.sent<protocol::Swap>() == 2);
  CHECK((asked(s) == Rounds{1, 2}));
  for (const std::uint32_t peer : {0U, 1U})
    s.feed(MessageArrived{
        {peer + 1},
        {c.run, c.incarnation, {2}, {peer}, protocol::Staged{{1}, true, ""}},
        ""});
  CHECK(s.sent<protocol::Commit>() == 2);
  CHECK((asked(s) == Rounds{1, 2, 3, 4}));
}

TEST_CASE("nothing is asked ahead of the last round", "[staleness]") {
  CoordinatorConfig c = stale(8);
  c.rounds = 2;
  Server s(c);
  s.join(1, "a");
  CHECK((asked(s) == Rounds{1, 2}));
  answer(s, 0, {1, 2});
  REQUIRE(s.finish() != nullptr);
  CHECK(s.finish()->code == ExitCode::kOk);
}

TEST_CASE("a stop ends after the rounds that have been asked", "[staleness]") {
  Server s(stale(2));
  s.join(1, "a");
  s.feed(StopRequested{ExitCode::kStopped});
  answer(s, 0, {1});
  answer(s, 0, {2});
  CHECK(s.finish() == nullptr);
  answer(s, 0, {3});
  CHECK((asked(s) == Rounds{1, 2, 3}));
  REQUIRE(s.finish() != nullptr);
  CHECK((rounds_of<SaveCheckpoint>(s) == Rounds{0, 3}));
}

TEST_CASE("who is late in a round is not awaited in those asked ahead",
          "[staleness]") {
  Server s(stale(2, 2));
  join_two(s);
  answer(s, 0, {1, 2, 3});
  CHECK(s.count<StepGenerator>() == 0);
  s.wait(4s);  // half have answered, the others have had their time
  CHECK((rounds_of<StepGenerator>(s) == Rounds{1, 2, 3}));
  CHECK((asked(s, {1}) == Rounds{1, 2, 3}));
  // It is asked again once it owes nothing.
  answer(s, 1, {1, 2});
  CHECK((asked(s, {1}) == Rounds{1, 2, 3}));
  answer(s, 1, {3});
  CHECK(s.coordinator.counters().unexpected == 0);
  answer(s, 0, {4});
  CHECK(asked(s, {1}).size() > 3);
}

TEST_CASE("a round has its time from when the rounds before it are stepped",
          "[staleness]") {
  Server s(stale(1, 2));
  join_two(s);
  s.wait(1s);
  answer(s, 0, {1});
  s.wait(1s);
  answer(s, 0, {2});  // which leaves the other 10 s, it seems
  s.wait(2500ms);
  answer(s, 1, {1});
  s.wait(8s);  // within these 10 s, since it could begin the second
  CHECK((rounds_of<StepGenerator>(s) == Rounds{1}));
  answer(s, 1, {2});
  REQUIRE((rounds_of<StepGenerator>(s) == Rounds{1, 2}));
  for (const ServerEffect& effect : s.effects)
    if (const auto* step = std::get_if<StepGenerator>(&effect))
      CHECK(step->contributors.size() == 2);
}

TEST_CASE("steps that follow each other are not taken for one that hangs",
          "[staleness]") {
  Server s(stale(1));
  s.slow_steps = true;
  s.join(1, "a");
  answer(s, 0, {1, 2});
  s.wait(40s);
  s.feed(GeneratorStepped{{1}});  // the second is stepped at once
  REQUIRE(s.count<StepGenerator>() == 2);
  s.effects.clear();
  s.wait(40s);
  CHECK(s.count<Note>() == 0);
  s.wait(40s);  // round-timeout is 60 s
  CHECK(s.count<Note>() == 1);
}

TEST_CASE("a disk that hangs does not end asking ahead", "[staleness]") {
  CoordinatorConfig c = stale(2);
  c.checkpoint_every = 2;
  Server s(c);
  s.hung_disk = true;
  s.join(1, "a");
  answer(s, 0, {1, 2, 3, 4, 5, 6});
  CHECK((asked(s) == Rounds{1, 2, 3, 4, 5, 6, 7, 8}));
}

TEST_CASE("who is late is not asked ahead while its round is stepped",
          "[staleness]") {
  Server s(stale(2, 2));
  s.stalled = s.slow_steps = true;
  join_two(s);
  s.feed(BatchesReady{{1}});
  answer(s, 0, {1});
  s.wait(4s);
  REQUIRE(s.count<StepGenerator>() == 1);
  s.feed(BatchesReady{{2}});
  CHECK((asked(s, {0}) == Rounds{1, 2}));
  CHECK((asked(s, {1}) == Rounds{1}));
}

TEST_CASE("answers count as invalid in a row in the order of rounds",
          "[staleness]") {
  Server s(stale(8, 2));
  join_two(s);
  for (std::uint64_t round = 1; round <= 9; ++round)
    s.answer_to(2, {round}, {1}, 1, round % 2 == 1 ? "not finite" : "");
  answer(s, 0, {1, 2, 3, 4, 5, 6, 7, 8, 9});
  CHECK(s.coordinator.position().completed == Round{9});
  CHECK(s.coordinator.live_peers() == 2);
  CHECK(s.coordinator.counters().invalid_feedback == 5);
}

TEST_CASE("a peer that cannot be asked ahead is refused in words",
          "[staleness]") {
  Server s(stale(1));
  s.hello(1, "old");
  CHECK(asked(s).empty());
  const auto* refusal = std::get_if<ReportRefusal>(&s.effects[0]);
  REQUIRE(refusal != nullptr);
  CHECK(refusal->reason.find("staleness = 0") != std::string::npos);
}

TEST_CASE("a peer answers one round after the other, as it was asked",
          "[staleness]") {
  Peer p;
  p.be_ready();
  p.says(protocol::RoundBegin{0, 1, 1}, 1);
  p.says(protocol::RoundBegin{0, 1, 1}, 2);
  CHECK(p.session.rounds_ahead() == 1);
  for (const std::uint64_t round : {2U, 1U})
    for (const std::uint32_t index : {0U, 1U})
      p.feed(BatchArrived{{round}, index});
  // The second has all it needs, and waits for the first.
  CHECK(p.find<Learn>() != nullptr);
  REQUIRE(p.find<ComputeFeedback>() != nullptr);
  CHECK(p.find<ComputeFeedback>()->round == Round{1});
  p.says(protocol::RoundBegin{1, 0, 1}, 3);
  p.feed(FeedbackComputed{1});
  REQUIRE(p.find<SendFeedback>() != nullptr);
  CHECK(p.find<SendFeedback>()->message.round == Round{1});
  REQUIRE(p.find<Learn>() != nullptr);
  CHECK(p.find<Learn>()->round == Round{2});
  REQUIRE(p.find<ComputeFeedback>() != nullptr);
  CHECK(p.find<ComputeFeedback>()->round == Round{2});
  p.feed(FeedbackComputed{p.find<ComputeFeedback>()->ask});
  CHECK(p.find<SendFeedback>()->message.round == Round{2});
  CHECK(p.find<Learn>() == nullptr);  // the batches of the third are to come
  p.feed(BatchArrived{{3}, 0});
  CHECK(p.find<Learn>()->round == Round{3});
}

TEST_CASE("a peer that leaves finishes the open round alone", "[staleness]") {
  Peer p;
  p.be_ready();
  p.says(protocol::RoundBegin{0, 0, 1}, 1);
  p.says(protocol::RoundBegin{0, 0, 1}, 2);
  p.feed(BatchArrived{{1}, 0});
  p.feed(BatchArrived{{2}, 0});
  p.feed(LeaveRequested{});
  CHECK_FALSE(p.session.over());
  p.feed(FeedbackComputed{1});
  REQUIRE(p.find<SaveDiscriminator>() != nullptr);
  CHECK(p.find<SaveDiscriminator>()->round == Round{1});
  CHECK(p.session.over());
}

TEST_CASE("no server makes a peer keep rounds without bound", "[staleness]") {
  Peer p;
  p.be_ready();
  for (std::uint64_t round = 1; round <= 1000; ++round)
    p.says(protocol::RoundBegin{0, 1, 1}, round);
  CHECK(p.session.rounds_ahead() <= 16);
}

}  // namespace mdgan::test
