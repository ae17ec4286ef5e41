// Single situations of a peer's session that the simulation meets too rarely.
#include <algorithm>

#include "tests/support/catch.h"
#include "tests/support/core_session.h"

namespace mdgan::test {

using namespace std::chrono_literals;

TEST_CASE("learning begins with X^d, before X^g has arrived") {
  Peer p;
  p.be_ready();
  p.says(protocol::RoundBegin{0, 1});
  p.feed(BatchArrived{{1}, 1});
  REQUIRE(p.find<Learn>());
  CHECK(p.find<Learn>()->index == 1);
  CHECK_FALSE(p.find<ComputeFeedback>());
  p.feed(BatchArrived{{1}, 0});
  REQUIRE(p.find<ComputeFeedback>());
  CHECK(p.find<ComputeFeedback>()->index == 0);
}

TEST_CASE(
    "a start that replaces the copy is obeyed while the trainer is made") {
  Peer p;
  p.feed(Connected{});
  p.welcome(protocol::Start::kReceive);
  p.welcome(protocol::Start::kFresh);
  p.feed(TrainerPrepared{});
  CHECK(p.find<InitialiseDiscriminator>());
  p.says(protocol::RoundBegin{0, 0});
  p.feed(BatchArrived{{1}, 0});
  CHECK(p.find<Learn>());
}

TEST_CASE("a welcome said twice does not begin anew") {
  Peer p;
  p.be_ready();
  p.welcome();
  CHECK(p.effects.empty());
}

TEST_CASE("a peer leaves a run whose codec it does not know, and says why") {
  Peer p;
  p.feed(Connected{});
  protocol::Welcome welcome;
  welcome.codecs = {"image-uint8", "feedback-int3"};
  p.says(welcome, 0);
  CHECK_FALSE(p.find<PrepareTrainer>());
  REQUIRE(p.find<Leave>());
  CHECK(p.find<Leave>()->code == ExitCode::kConfiguration);
  CHECK(p.find<Leave>()->text.find("'feedback-int3'") != std::string::npos);
  REQUIRE(p.said<protocol::Goodbye>());
  CHECK(p.said<protocol::Goodbye>()->reason == protocol::Reason::kFailed);
  CHECK(p.session.over());
}

TEST_CASE("what was computed before a reconnect is not the answer after it") {
  Peer p;
  p.be_ready();
  p.says(protocol::RoundBegin{0, 0});
  p.feed(BatchArrived{{1}, 0});
  const auto first = p.find<ComputeFeedback>()->ask;
  p.feed(Connected{});
  p.welcome(protocol::Start::kKeep);
  p.feed(TrainerPrepared{});
  p.says(protocol::RoundBegin{1, 1});
  p.feed(BatchArrived{{1}, 1});
  REQUIRE(p.find<ComputeFeedback>());
  const auto second = p.find<ComputeFeedback>()->ask;
  p.feed(FeedbackComputed{first});
  CHECK_FALSE(p.find<SendFeedback>());
  p.feed(FeedbackComputed{second});
  CHECK(p.find<SendFeedback>());
}

TEST_CASE("a peer that is set aside ends, and says that it diverged") {
  Peer p;
  p.be_ready();
  p.says(protocol::ErrorReply{protocol::ErrorCode::kSetAside, "set aside"});
  REQUIRE(p.find<Leave>());
  CHECK(p.find<Leave>()->code == ExitCode::kDiverged);
}

TEST_CASE("messages of another incarnation are ignored") {
  Peer p;
  p.be_ready();
  p.says(protocol::RoundBegin{0, 0}, 1, 2);
  p.feed(BatchArrived{{1}, 0});
  CHECK(p.effects.empty());
  CHECK(p.session.counters().refused == 1);
}

TEST_CASE(
    "leaving finishes the round, and does not hang when the server is gone") {
  Peer p;
  p.be_ready();
  p.says(protocol::RoundBegin{0, 0});
  p.feed(BatchArrived{{1}, 0});
  p.feed(LeaveRequested{});
  CHECK_FALSE(p.session.over());
  SECTION("the round ends") {
    p.feed(FeedbackComputed{1});
    CHECK(p.find<SendFeedback>());
    CHECK(p.find<SaveDiscriminator>());
    CHECK(p.session.over());
  }
  SECTION("the connection is made anew") {
    p.feed(Connected{});
    CHECK(p.session.over());
  }
  SECTION("the round takes too long for who asks") {
    p.feed(LeaveRequested{});
    CHECK(p.session.over());
    CHECK_FALSE(p.find<SaveDiscriminator>());  // it is of no round
  }
}

TEST_CASE("fault 34: who is told that the run is to go on ends with 10") {
  const bool again = GENERATE(true, false);
  Peer p;
  p.be_ready();
  p.says(protocol::Goodbye{protocol::Reason::kStopped, "stopped", again});
  REQUIRE(p.find<Leave>());
  CHECK(p.find<Leave>()->code == (again ? ExitCode::kStopped : ExitCode::kOk));
}

TEST_CASE("arithmetic that fails ends the session at once, with its code") {
  Peer p;
  p.be_ready();
  p.says(protocol::RoundBegin{0, 0});
  p.feed(BatchArrived{{1}, 0});
  p.feed(Failed{{"diverged", ExitCode::kDiverged}});
  REQUIRE(p.find<Leave>());
  CHECK(p.find<Leave>()->code == ExitCode::kDiverged);
  CHECK(p.said<protocol::Goodbye>());
  CHECK_FALSE(p.find<SaveDiscriminator>());
}

TEST_CASE("an unknown peer says hello again and keeps what it has") {
  Peer p;
  p.be_ready();
  p.says(protocol::ErrorReply{protocol::ErrorCode::kUnknownPeer, "?"});
  CHECK(p.find<SayHello>());
  CHECK_FALSE(p.session.over());
}

TEST_CASE("a checkpoint told while the trainer is made is saved once ready") {
  Peer p;
  p.feed(Connected{});
  p.welcome(protocol::Start::kKeep);
  p.says(protocol::Checkpoint{}, 20);
  p.says(protocol::RoundBegin{0, 0}, 21);
  p.feed(BatchArrived{{21}, 0});
  p.feed(TrainerPrepared{});
  REQUIRE(p.find<SaveDiscriminator>());
  CHECK(p.find<SaveDiscriminator>()->round == Round{20});
  REQUIRE(p.find<Learn>());  // the round that began after it
  CHECK(place_of<SaveDiscriminator>(p) < place_of<Learn>(p));
}

TEST_CASE(
    "a name in use is asked for again for a minute, as PROTOCOL.md says") {
  Peer p;
  p.feed(Connected{});
  const auto refused = [&] {
    p.says(protocol::ErrorReply{protocol::ErrorCode::kNameInUse, "taken"});
  };
  refused();
  p.now += 60s;
  refused();
  CHECK_FALSE(p.session.over());
  p.now += 1s;
  refused();
  REQUIRE(p.find<Leave>());
  CHECK(p.find<Leave>()->code == ExitCode::kConfiguration);
}

TEST_CASE("who loses a server that refused it to the end is told why") {
  Peer p;
  p.feed(Connected{});
  p.says(protocol::ErrorReply{protocol::ErrorCode::kNameInUse,
                              "a live peer is named ann"});
  p.feed(ServerLost{{"no word from the server", ExitCode::kUnreachable}});
  REQUIRE(p.find<Leave>());
  CHECK(p.find<Leave>()->code == ExitCode::kUnreachable);
  CHECK(p.find<Leave>()->text ==
        "no word from the server; before that the server refused this peer: a "
        "live peer is named ann");
}

TEST_CASE("a server that sends something long is not silent") {
  Peer p;
  p.be_ready();
  for (int i = 0; i < 10; ++i) {
    p.now += 15s;
    p.feed(PartArrived{});
    REQUIRE(p.session.next_deadline().value() > p.now);
  }
  p.now += 21s;
  p.feed(ClockTicked{});
  CHECK(p.find<SayHello>());
}

TEST_CASE("a generator is measured beside a round, and for who asked alone") {
  Peer p;
  p.feed(Connected{});
  p.says(protocol::Evaluate{}, 9);  // not welcomed yet
  CHECK_FALSE(p.find<MeasureGenerator>());
  p.be_ready();
  p.says(protocol::RoundBegin{0, 0});
  protocol::Evaluate asked;
  asked.classifier[3] = std::byte{5};
  p.says(asked, 9);
  REQUIRE(p.find<MeasureGenerator>());
  CHECK(p.find<MeasureGenerator>()->round == Round{9});
  CHECK(p.find<MeasureGenerator>()->classifier == asked.classifier);
  p.feed(BatchArrived{{1}, 0});
  CHECK(p.find<ComputeFeedback>());
  p.feed(GeneratorMeasured{kRun, 7, {9}});  // by another server
  CHECK_FALSE(p.find<SendEvaluated>());
  p.feed(GeneratorMeasured{kRun, 1, {9}});
  REQUIRE(p.find<SendEvaluated>());
  const protocol::Message& message = p.find<SendEvaluated>()->message;
  CHECK(message.round == Round{9});
  CHECK(message.peer == PeerId{3});
  p.feed(Connected{});
  p.feed(GeneratorMeasured{kRun, 1, {9}});
  CHECK_FALSE(p.find<SendEvaluated>());
}

}  // namespace mdgan::test
