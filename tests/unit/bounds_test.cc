// What others can make a server or a peer keep, or wait for, has an end.
#include <string>
#include <vector>

#include "protocol/limits.h"
#include "tests/support/catch.h"
#include "tests/support/core_server.h"
#include "tests/support/core_session.h"

namespace mdgan::test {

using namespace std::chrono_literals;

namespace {

// A server whose model waits for peers. What it keeps of hellos is of those
// that came before.
struct Waiting {
  explicit Waiting(CoordinatorConfig config) : coordinator(config) {}

  void hello(std::uint64_t connection, const std::string& name,
             const ClassNames& classes = {}) {
    protocol::Hello body;
    body.name = name;
    body.shard_size = 1000;
    body.image = kImage;
    body.classes = classes;
    body.nonce = connection;
    protocol::Message message;
    message.body = body;
    out.clear();
    coordinator.handle(MessageArrived{{connection}, message, ""}, now, out);
  }

  Coordinator coordinator;
  std::vector<ServerEffect> out;
  TimePoint now{1h};
};

}  // namespace

TEST_CASE("a run takes as many peers as there are numbers, and no more",
          "[crowd]") {
  CoordinatorConfig c = config(protocol::kMaxPeers);
  c.k = 1;
  c.swap_epochs = 0;
  Server s(c);
  for (std::uint32_t i = 0; i + 1 < protocol::kMaxPeers; ++i) {
    s.hello(i + 1, std::to_string(i));
    s.effects.clear();
  }
  // Beyond the highest number a wish is none.
  s.hello(70'000, "wishes too much",
          [](auto& h) { h.index = protocol::kMaxPeers; });
  CHECK(s.coordinator.position().names.at("wishes too much") ==
        PeerId{protocol::kMaxPeers - 1});
  s.effects.clear();
  s.hello(70'001, "one more");
  REQUIRE(s.sent<protocol::ErrorReply>() == 1);
  CHECK(s.sent<protocol::Welcome>() == 0);
  CHECK_FALSE(s.coordinator.position().names.contains("one more"));
}

TEST_CASE("as many peers may wait for the model as may take part") {
  Waiting server(config(2));
  for (std::uint32_t i = 0; i < protocol::kMaxPeers + 5; ++i)
    server.hello(i + 1, std::to_string(i));
  CHECK(server.coordinator.waiting_peers() == protocol::kMaxPeers);
}

TEST_CASE("the class lists of all that wait have a bound in memory",
          "[crowd]") {
  CoordinatorConfig c = config(5000);
  c.conditional = true;
  Waiting server(c);
  ClassNames longest;
  for (int i = 0; i < 1024; ++i)
    longest.push_back(std::string(220, 'c') + std::to_string(i));
  for (std::uint64_t i = 1; i <= 1000; ++i)
    server.hello(i, std::to_string(i), longest);
  const std::uint32_t there = server.coordinator.waiting_peers();
  CHECK(there > 100);
  CHECK(there < 300);
  // Who has a place says hello again; and a place that is left is another's.
  server.hello(2001, "1", longest);
  CHECK(server.coordinator.waiting_peers() == there);
  server.coordinator.handle(ConnectionLost{{2}}, server.now, server.out);
  CHECK(server.coordinator.waiting_peers() == there - 1);
  server.hello(2002, "newcomer", longest);
  CHECK(server.coordinator.waiting_peers() == there);
}

TEST_CASE("a peer whose key is revoked waits for the model no more") {
  Waiting server(config(3));
  server.hello(1, "a");
  server.hello(2, "b");
  REQUIRE(server.coordinator.waiting_peers() == 2);
  server.coordinator.handle(KeyRevoked{{2}, "revoked"}, server.now, server.out);
  CHECK(server.coordinator.waiting_peers() == 1);
}

TEST_CASE(
    "a peer is asked ahead in so many rounds, of which it keeps batches") {
  constexpr std::uint64_t kMost = protocol::kMaxStaleness + 1;
  Peer p;
  p.be_ready();
  for (std::uint64_t round = 1; round <= kMost; ++round)
    p.says(protocol::RoundBegin{0, 0}, round);
  CHECK(p.session.rounds_ahead() == protocol::kMaxStaleness);
  p.says(protocol::RoundBegin{0, 0}, kMost + 1);
  CHECK(p.session.rounds_ahead() == 0);
  p.feed(BatchArrived{{1}, 0});  // is awaited no more
  CHECK_FALSE(p.find<Learn>());
  p.feed(BatchArrived{{kMost + 1}, 0});
  CHECK(p.find<Learn>());
}

TEST_CASE("a batch of a round in which a peer is not asked is not kept") {
  Peer p;
  p.be_ready();
  p.feed(BatchArrived{{1}, 0});
  p.says(protocol::RoundBegin{0, 0}, 1);
  CHECK_FALSE(p.find<Learn>());
  p.feed(BatchArrived{{1}, 0});
  CHECK(p.find<Learn>());
}

TEST_CASE("a message that stands for more rounds than there were is refused") {
  Peer p;
  p.be_ready();
  p.says(protocol::RoundBegin{0, 0, 4}, 3);
  CHECK(p.session.counters().refused == 1);
  p.feed(BatchArrived{{3}, 0});
  CHECK_FALSE(p.find<Learn>());
  p.says(protocol::RoundBegin{0, 0, 3}, 3);
  p.feed(BatchArrived{{3}, 0});
  REQUIRE(p.find<Learn>());
  CHECK(p.find<Learn>()->steps == 3);
}

TEST_CASE("of transfers that come before their order a few are kept") {
  Peer p;
  p.be_ready();
  for (std::uint64_t i = 1; i <= 8; ++i) {
    p.feed(transfer(10 + i, i));
    CHECK_FALSE(p.find<DropTransfer>());
  }
  p.feed(transfer(19, 9));
  REQUIRE(p.find<DropTransfer>());
  CHECK(p.find<DropTransfer>()->arrival == 1);
}

TEST_CASE("a transfer of an exchange gone by is dropped at once") {
  Peer p;
  p.be_ready();
  p.says(receives(5));
  p.feed(transfer(4, 1));
  REQUIRE(p.find<DropTransfer>());
  CHECK(p.find<DropTransfer>()->arrival == 1);
}

TEST_CASE("of orders that come while the trainer is made so many are kept") {
  Peer p;
  p.feed(Connected{});
  p.welcome();
  for (std::uint64_t i = 1; i <= 64; ++i) {
    p.says(sends(i));
    CHECK_FALSE(p.said<protocol::Staged>());
  }
  p.says(sends(65));
  REQUIRE(p.said<protocol::Staged>());
  CHECK(p.said<protocol::Staged>()->swap == SwapId{1});
  CHECK_FALSE(p.said<protocol::Staged>()->ok);
}

TEST_CASE("a server that says nothing for long is greeted anew") {
  Peer p;
  p.be_ready();
  const auto alarm = p.session.next_deadline();
  REQUIRE(alarm.has_value());
  p.now = *alarm - 1ms;
  p.feed(ClockTicked{});
  CHECK_FALSE(p.find<SayHello>());
  p.now = *alarm;
  p.feed(ClockTicked{});
  CHECK(p.find<SayHello>());
}

}  // namespace mdgan::test
