// Single situations of a session's exchanges.
#include <algorithm>
#include <vector>

#include "protocol/limits.h"
#include "tests/support/catch.h"
#include "tests/support/core_session.h"

namespace mdgan::test {

using namespace std::chrono_literals;

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

TEST_CASE(
    "fault 5: who is to exchange again, and has not heard how the last "
    "exchange ended, asks first") {
  Peer p;
  p.be_ready();
  p.says(receives(4), 30);
  p.receive(transfer(4, 2));
  REQUIRE(p.said<protocol::Staged>());
  p.says(receives(5), 31);
  CHECK(p.find<SayHello>());
  CHECK_FALSE(p.find<DropTransfer>());
  CHECK((*p.session.staged() == protocol::Held{kRun, {30}, {204}}));
  p.welcome(protocol::Start::kRestore, 1, {30}, {204});
  p.feed(TrainerPrepared{});
  CHECK(p.find<Install>());
}

TEST_CASE("fault 38: what cannot be restored is neither saved nor sent") {
  Peer p;
  p.feed(Connected{});
  p.welcome(protocol::Start::kRestore, 1, {20}, {11});
  p.feed(TrainerPrepared{});
  REQUIRE(p.find<RestoreDiscriminator>());
  p.says(protocol::Checkpoint{}, 30);
  protocol::Swap sends;
  sends.swap = {9};
  sends.sends = true;
  sends.endpoint = "tcp://h:1";
  p.says(sends, 30);
  CHECK_FALSE(p.find<SaveDiscriminator>());
  CHECK_FALSE(p.find<SendTransfer>());
  SECTION("it is damaged") {
    p.feed(RestoreFailed{"damaged"});
    CHECK(p.find<SayHello>());
    p.feed(Restored{});  // of an earlier welcome
    CHECK_FALSE(p.find<SaveDiscriminator>());
    CHECK_FALSE(p.find<SendTransfer>());
  }
  SECTION("the connection broke meanwhile") {
    p.feed(Connected{});
    p.welcome(protocol::Start::kKeep, 1, {}, {11});
    p.feed(Restored{});  // of the welcome before
    p.says(protocol::Checkpoint{}, 31);
    CHECK_FALSE(p.find<SaveDiscriminator>());
  }
  SECTION("it is there") {
    p.feed(Restored{});
    CHECK(p.find<SaveDiscriminator>());
    CHECK(p.find<SendTransfer>());
  }
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

TEST_CASE(
    "a round that begins while what was staged is being installed waits") {
  Peer p;
  p.be_ready();
  p.says(receives(4), 30);
  p.receive(transfer(4, 2));
  p.feed(Connected{});
  p.welcome(protocol::Start::kRestore, 1, {30}, {204});
  p.says(protocol::RoundBegin{0, 0}, 31);
  CHECK_FALSE(p.find<SayHello>());
  p.feed(BatchArrived{{31}, 0});
  p.feed(TrainerPrepared{});
  CHECK(p.find<Install>());
  CHECK(p.find<Learn>());
}

namespace {

protocol::Swap sends_by_relay(std::uint64_t swap) {
  protocol::Swap plan = sends(swap);
  plan.receives = false;
  plan.endpoint.clear();
  return plan;
}

std::vector<std::uint32_t> chunks_sent(const Peer& p) {
  std::vector<std::uint32_t> indices;
  for (const SessionEffect& e : p.effects)
    if (const auto* chunk = std::get_if<SendChunk>(&e))
      indices.push_back(std::get<protocol::Chunk>(chunk->message.body).index);
  return indices;
}

}  // namespace

TEST_CASE("a discriminator goes by relay where the swap names no endpoint") {
  Peer p;
  p.be_ready();
  p.says(sends_by_relay(4));
  CHECK_FALSE(p.find<SendTransfer>());
  REQUIRE(p.find<PrepareChunks>());
  CHECK(p.find<PrepareChunks>()->target == PeerId{6});
  p.feed(ChunksReady{{4}, 40});
  CHECK(chunks_sent(p).size() == protocol::kChunkWindow);
  p.says(protocol::ChunksTaken{{4}, 3});
  CHECK(chunks_sent(p) == std::vector<std::uint32_t>{16, 17, 18});
  p.says(protocol::ChunksTaken{{4}, 3});   // once more
  p.says(protocol::ChunksTaken{{4}, 20});  // of what was not sent
  p.says(protocol::ChunksTaken{{5}, 1});   // of another exchange
  CHECK(p.effects.empty());
  p.says(protocol::ChunksTaken{{4}, 19});
  p.says(protocol::ChunksTaken{{4}, 35});
  CHECK(chunks_sent(p) == std::vector<std::uint32_t>{35, 36, 37, 38, 39});
}

TEST_CASE("an exchange that ends ends its relay") {
  Peer p;
  p.be_ready();
  p.says(sends_by_relay(4));
  SECTION("before it began") {
    p.says(protocol::Abort{{4}, ""});
    p.feed(ChunksReady{{4}, 40});
    CHECK(chunks_sent(p).empty());
    CHECK(p.find<DropChunks>());
  }
  SECTION("in its midst") {
    p.feed(ChunksReady{{4}, 40});
    p.says(protocol::Abort{{4}, ""});
    CHECK(p.find<DropChunks>());
    p.says(protocol::ChunksTaken{{4}, 3});
    CHECK(p.effects.empty());
  }
  SECTION("with the connection") {
    p.feed(ChunksReady{{4}, 40});
    p.feed(Connected{});
    CHECK(p.find<DropChunks>());
  }
}

TEST_CASE("chunks are opened in order, if they are of what was announced") {
  Peer p;
  p.be_ready();
  p.says(protocol::Chunk{{4}, 0, {}});
  CHECK(p.effects.empty());
  protocol::Swap plan = receives(4);
  plan.source_key[0] = std::byte{9};
  p.says(plan);
  p.says(protocol::Chunk{{4}, 1, {}});
  p.says(protocol::Chunk{{3}, 0, {}});
  CHECK(p.effects.empty());
  p.says(protocol::Chunk{{4}, 0, {}});
  REQUIRE(p.find<OpenChunk>());
  CHECK(p.find<OpenChunk>()->token == plan.receive_token);
  CHECK(p.find<OpenChunk>()->source == plan.source);
  CHECK(p.find<OpenChunk>()->key == plan.source_key);
  REQUIRE(p.said<protocol::ChunksTaken>());
  CHECK(p.said<protocol::ChunksTaken>()->count == 1);
  p.says(protocol::Chunk{{4}, 0, {}});  // once more
  CHECK(p.effects.empty());
  p.says(protocol::Chunk{{4}, 1, {}});
  CHECK(p.find<OpenChunk>());
  SECTION("one that cannot be opened ends the exchange") {
    p.feed(ChunkRefused{{4}, "it was changed on its way"});
    REQUIRE(p.said<protocol::Staged>());
    CHECK_FALSE(p.said<protocol::Staged>()->ok);
  }
  SECTION("an abort throws away what has come") {
    p.says(protocol::Abort{{4}, ""});
    CHECK(p.find<DropChunks>());
  }
  SECTION("and so does the next exchange") {
    p.says(receives(5));
    REQUIRE(p.find<DropChunks>());
    CHECK(p.find<DropChunks>()->swap == SwapId{4});
  }
}

}  // namespace mdgan::test
