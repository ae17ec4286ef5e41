// Single situations of a peer's session that the simulation meets too rarely.
#include "peer/core/session.h"

#include <algorithm>

#include "tests/support/catch.h"

using namespace mdgan;
using namespace std::chrono_literals;

namespace {

const RunId kRun{std::byte{7}};

struct Peer {
  Session session;
  TimePoint now{std::chrono::hours(1)};
  std::vector<SessionEffect> effects;

  void feed(const SessionEvent& event) {
    effects.clear();
    session.handle(event, now, effects);
  }
  void says(protocol::Body body, std::uint64_t round = 1,
            std::uint32_t incarnation = 1) {
    feed(ServerSaid{{kRun, incarnation, {round}, {3}, std::move(body)}});
  }
  void welcome(protocol::Start start = protocol::Start::kFresh,
               std::uint32_t incarnation = 1, Round restore = {},
               DiscriminatorId discriminator = {11}) {
    protocol::Welcome welcome;
    welcome.start = start;
    welcome.restore = restore;
    welcome.discriminator = discriminator;
    says(welcome, 0, incarnation);
  }
  // A transfer of exchange `swap`, which the disk takes.
  void receive(const TransferArrived& arrived) {
    feed(arrived);
    if (find<SaveTransfer>()) feed(TransferSaved{arrived.arrival});
  }
  void be_ready() {
    feed(Connected{});
    welcome();
    feed(TrainerPrepared{});
  }
  template <typename Effect>
  const Effect* find() const {
    for (const SessionEffect& e : effects)
      if (const auto* found = std::get_if<Effect>(&e)) return found;
    return nullptr;
  }
  template <typename Body>
  const Body* said() const {
    for (const SessionEffect& e : effects)
      if (const auto* say = std::get_if<SayToServer>(&e))
        if (const auto* body = std::get_if<Body>(&say->message.body))
          return body;
    return nullptr;
  }
};

protocol::Swap receives(std::uint64_t swap) {
  protocol::Swap plan;
  plan.swap = {swap};
  plan.receive_token = 100 + swap;
  plan.discriminator = {200 + swap};
  plan.receives = true;
  plan.source = {5};
  return plan;
}

TransferArrived transfer(std::uint64_t swap, std::uint64_t arrival) {
  TransferArrived arrived;
  arrived.transfer.swap = {swap};
  arrived.transfer.token = 100 + swap;
  arrived.transfer.source = {5};
  arrived.arrival = arrival;
  return arrived;
}

}  // namespace

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

TEST_CASE("the trainer is told the codecs that the welcome names") {
  Peer p;
  p.feed(Connected{});
  protocol::Welcome welcome;
  welcome.codecs = {"image-uint8", "feedback-int8"};
  p.says(welcome, 0);
  REQUIRE(p.find<PrepareTrainer>());
  CHECK(p.find<PrepareTrainer>()->codecs == TensorCodecs{ImageCodec::kUint8,
                                                         FeedbackCodec::kInt8,
                                                         SwapCodec::kFloat32});
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

TEST_CASE(
    "a discriminator is installed on commit only, and from the right peer") {
  Peer p;
  p.be_ready();
  p.says(receives(4));
  TransferArrived forged = transfer(4, 1);
  forged.transfer.token = 0;
  p.feed(forged);
  CHECK(p.find<DropTransfer>());
  CHECK_FALSE(p.said<protocol::Staged>());
  p.feed(transfer(4, 2));
  // Told only once it is on the disk.
  CHECK_FALSE(p.said<protocol::Staged>());
  REQUIRE(p.find<SaveTransfer>());
  CHECK(p.find<SaveTransfer>()->discriminator == DiscriminatorId{204});
  CHECK(p.find<SaveTransfer>()->in_use == DiscriminatorId{11});
  p.feed(TransferSaved{2});
  REQUIRE(p.said<protocol::Staged>());
  CHECK(p.said<protocol::Staged>()->ok);
  CHECK_FALSE(p.find<Install>());
  p.says(protocol::Commit{{4}});
  REQUIRE(p.find<Install>());
  CHECK(p.find<Install>()->arrival == 2);
  CHECK(p.session.held().discriminator == DiscriminatorId{204});
  p.says(protocol::Commit{{4}});
  CHECK_FALSE(p.find<Install>());
}

TEST_CASE("an abort leaves the next exchange's early transfer alone") {
  Peer p;
  p.be_ready();
  p.says(receives(4));
  p.feed(transfer(5, 9));  // faster than its swap message
  p.says(protocol::Abort{{4}, ""});
  CHECK_FALSE(p.find<DropTransfer>());
  p.says(receives(5));
  REQUIRE(p.find<SaveTransfer>());
  p.feed(TransferSaved{9});
  REQUIRE(p.said<protocol::Staged>());
  CHECK(p.said<protocol::Staged>()->ok);
}

TEST_CASE("a transfer that cannot be used is refused with its reason") {
  Peer p;
  p.be_ready();
  p.says(receives(4));
  TransferArrived bad = transfer(4, 1);
  bad.defect = "not finite";
  p.feed(bad);
  REQUIRE(p.said<protocol::Staged>());
  CHECK_FALSE(p.said<protocol::Staged>()->ok);
  CHECK(p.said<protocol::Staged>()->reason == "not finite");
  CHECK(p.find<DropTransfer>());
}

TEST_CASE(
    "fault 4, fault 5: what was staged is used or dropped as the next "
    "welcome says") {
  Peer p;
  p.be_ready();
  p.says(receives(4), 30);
  p.receive(transfer(4, 2));
  REQUIRE(p.said<protocol::Staged>());
  p.feed(Connected{});  // and the commit, if there was one, is lost
  CHECK_FALSE(p.find<DropTransfer>());
  REQUIRE(p.session.staged());
  CHECK((*p.session.staged() == protocol::Held{kRun, {30}, {204}}));
  SECTION("committed") {
    p.welcome(protocol::Start::kRestore, 1, {30}, {204});
    p.feed(TrainerPrepared{});
    REQUIRE(p.find<Install>());
    CHECK(p.find<Install>()->arrival == 2);
    CHECK_FALSE(p.find<RestoreDiscriminator>());
    CHECK((p.session.held() == protocol::Held{kRun, {30}, {204}}));
  }
  SECTION("aborted") {
    p.welcome(protocol::Start::kKeep, 1, {}, {11});
    p.feed(TrainerPrepared{});
    CHECK_FALSE(p.find<Install>());
    CHECK(p.find<DropTransfer>());
    CHECK(p.session.held().discriminator == DiscriminatorId{11});
  }
  SECTION("the run went back to before it") {
    p.welcome(protocol::Start::kRestore, 2, {20}, {11});
    p.feed(TrainerPrepared{});
    REQUIRE(p.find<RestoreDiscriminator>());
    CHECK(p.find<RestoreDiscriminator>()->round == Round{20});
    CHECK(p.find<DropTransfer>());
  }
  CHECK_FALSE(p.session.staged());
}

TEST_CASE("what the server was not told of is dropped with the connection") {
  Peer p;
  p.be_ready();
  p.says(receives(4));
  p.feed(transfer(4, 2));
  p.feed(Connected{});
  CHECK(p.find<DropTransfer>());
  CHECK_FALSE(p.session.staged());
  p.feed(TransferSaved{2});
  CHECK(p.effects.empty());
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

namespace {

protocol::Swap sends(std::uint64_t swap) {
  protocol::Swap plan = receives(swap);
  plan.sends = true;
  plan.target = {6};
  plan.endpoint = "tcp://h:1";
  return plan;
}

template <typename Effect>
std::ptrdiff_t place_of(const Peer& p) {
  const auto it = std::ranges::find_if(p.effects, [](const auto& e) {
    return std::holds_alternative<Effect>(e);
  });
  return it == p.effects.end() ? -1 : it - p.effects.begin();
}

}  // namespace

TEST_CASE("a swap told while the trainer is made is done once it is ready") {
  Peer p;
  p.feed(Connected{});
  p.welcome();
  p.says(sends(4));
  CHECK(p.effects.empty());
  p.feed(transfer(4, 1));
  p.feed(TrainerPrepared{});
  REQUIRE(p.find<SendTransfer>());
  CHECK(p.find<SendTransfer>()->target == PeerId{6});
  CHECK(place_of<InitialiseDiscriminator>(p) < place_of<SendTransfer>(p));
  p.feed(TransferSaved{1});
  REQUIRE(p.said<protocol::Staged>());  // what it receives, too
  CHECK(p.said<protocol::Staged>()->ok);
}

TEST_CASE("a swap that is aborted while the trainer is made is forgotten") {
  Peer p;
  p.feed(Connected{});
  p.welcome();
  p.says(sends(4));
  p.says(protocol::Abort{{4}, ""});
  p.feed(TrainerPrepared{});
  CHECK_FALSE(p.find<SendTransfer>());
}

TEST_CASE("who has no discriminator to send says so at once") {
  Peer p;
  p.feed(Connected{});
  p.welcome(protocol::Start::kReceive);
  SECTION("its trainer is ready") {
    p.feed(TrainerPrepared{});
    p.says(sends(4));
  }
  SECTION("as soon as its trainer is ready") {
    p.says(sends(4));
    p.feed(TrainerPrepared{});
  }
  CHECK_FALSE(p.find<SendTransfer>());
  REQUIRE(p.said<protocol::Staged>());
  CHECK_FALSE(p.said<protocol::Staged>()->ok);
  CHECK(p.said<protocol::Staged>()->swap == SwapId{4});
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
