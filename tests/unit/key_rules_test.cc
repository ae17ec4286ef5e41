// What follows from keys, without a socket: whom ZAP lets in, whose name is
// whose, who sends a discriminator to whom.
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "common/keys/key.h"
#include "common/net/handshake.h"
#include "common/net/zap_decision.h"
#include "tests/support/catch.h"
#include "tests/support/core_server.h"
#include "tests/support/core_session.h"

namespace mdgan::test {
namespace {

PublicKey key(int number) {
  PublicKey bytes{};
  bytes[0] = static_cast<std::byte>(number);
  return bytes;
}

std::string bytes_of(const PublicKey& key) {
  return {reinterpret_cast<const char*>(key.data()), key.size()};
}

ZapReply asked(const std::vector<std::string>& request) {
  ZapDomains domains;
  domains[kServerDomain].admitted = {{key(1), "ann"}, {key(2), "bob"}};
  domains[kPeersDomain] = {{{key(3), "peer"}}, ZapStatus::kNotYet};
  return decide(request, domains);
}

ZapReply asked(const std::string& domain, const std::string& mechanism,
               const std::string& credentials) {
  return asked({"1.0", "7", domain, "10.0.0.9", "", mechanism, credentials});
}

// --- the server's side ---

const protocol::ErrorReply* last_error(const Server& s) {
  const protocol::ErrorReply* found = nullptr;
  for (const ServerEffect& effect : s.effects)
    if (const auto* send = std::get_if<SendMessage>(&effect))
      if (const auto* error =
              std::get_if<protocol::ErrorReply>(&send->message.body))
        found = error;
  return found;
}

HandshakeFailures failures(bool has_keys, const std::string& mechanism,
                           std::uint64_t in_a_row) {
  HandshakeFailures f;
  f.has_keys = has_keys;
  f.mechanism = mechanism;
  f.in_a_row = in_a_row;
  f.server = "tcp://s:1";
  f.own_key = "MINE";
  return f;
}

bool says(const std::optional<Error>& error, const std::string& text) {
  return error && error->code == ExitCode::kAuthentication &&
         error->message.find(text) != std::string::npos;
}

}  // namespace

TEST_CASE("fault 28: ZAP lets in a listed key under its name, nobody else") {
  const ZapReply ann = asked(kServerDomain, "CURVE", bytes_of(key(1)));
  CHECK(ann.status == ZapStatus::kAdmitted);
  CHECK(ann.user == "ann");
  CHECK(ann.request_id == "7");
  CHECK(ann.metadata ==
        std::string("\x05X-Key\0\0\0\x28", 10) + to_z85(key(1)));
  CHECK(asked(kPeersDomain, "CURVE", bytes_of(key(3))).status ==
        ZapStatus::kAdmitted);

  struct Case {
    const char* domain;
    const char* mechanism;
    std::string credentials;
    ZapStatus expected;
  };
  for (const Case& c : std::vector<Case>{
           {kServerDomain, "CURVE", bytes_of(key(9)), ZapStatus::kRefused},
           // A key that may send a discriminator may not take part, and the
           // other way round; the server may announce that one yet.
           {kServerDomain, "CURVE", bytes_of(key(3)), ZapStatus::kRefused},
           {kPeersDomain, "CURVE", bytes_of(key(1)), ZapStatus::kNotYet},
           {"", "CURVE", bytes_of(key(1)), ZapStatus::kRefused},
           {"another", "CURVE", bytes_of(key(1)), ZapStatus::kRefused},
           {kServerDomain, "NULL", bytes_of(key(1)), ZapStatus::kRefused},
           {kServerDomain, "PLAIN", "ann", ZapStatus::kRefused},
           {kServerDomain, "CURVE", "", ZapStatus::kRefused},
           {kServerDomain, "CURVE", bytes_of(key(1)).substr(1),
            ZapStatus::kRefused},
           {kServerDomain, "CURVE", bytes_of(key(1)) + "x",
            ZapStatus::kRefused},
           {kServerDomain, "CURVE", bytes_of(key(0)), ZapStatus::kRefused}}) {
    const ZapReply reply = asked(c.domain, c.mechanism, c.credentials);
    INFO(c.domain << " " << c.mechanism);
    CHECK(reply.status == c.expected);
    CHECK(reply.user.empty());
    CHECK(reply.metadata.empty());
    CHECK(reply.request_id == "7");
  }
}

TEST_CASE("fault 28: the key that stands for none lets nobody in") {
  const std::vector<std::string> request{
      "1.0", "7", kServerDomain, "10.0.0.9", "", "CURVE", bytes_of(key(0))};
  const ZapDomains domains{
      {kServerDomain, {{{key(0), "nobody"}}, ZapStatus::kRefused}}};
  CHECK(decide(request, domains).status == ZapStatus::kRefused);
}

TEST_CASE("what is no request of ZAP is refused") {
  CHECK(asked({}).status == ZapStatus::kBadRequest);
  CHECK(asked({"1.0", "7"}).status == ZapStatus::kBadRequest);
  CHECK(asked({"2.0", "7", kServerDomain, "", "", "CURVE", bytes_of(key(1))})
            .status == ZapStatus::kBadRequest);
  CHECK(asked({"1.0", "7", kServerDomain, "", "", "CURVE"}).status ==
        ZapStatus::kRefused);
  CHECK(asked({"1.0", "7", kServerDomain, "", "", "CURVE", bytes_of(key(1)),
               "more"})
            .status == ZapStatus::kRefused);
}

TEST_CASE("fault 29: why a handshake fails is said once it is certain") {
  // Nobody there, or a server that was just starting.
  CHECK_FALSE(reason_of(failures(true, "", 100)));
  CHECK_FALSE(reason_of(failures(false, "NULL", 100)));
  CHECK_FALSE(reason_of(failures(true, "CURVE", 1)));
  CHECK_FALSE(reason_of(failures(true, "NULL", 0)));

  CHECK(says(reason_of(failures(false, "CURVE", 1)), "mdgan-peer keygen"));
  CHECK(says(reason_of(failures(true, "NULL", 1)), "has no key"));
  CHECK(says(reason_of(failures(true, "CURVE", 3)), "--server-key"));
  HandshakeFailures refused = failures(true, "", 0);
  refused.key_refusals = 1;  // the server may be about to read its list
  CHECK_FALSE(reason_of(refused));
  refused.key_refusals = 8;
  CHECK(says(reason_of(refused), "MINE"));
  CHECK(says(reason_of(refused), "authorized_peers"));
}

TEST_CASE("fault 9: a name of the run that comes with another key is refused") {
  Server s(config(2));
  s.hello(1, "ann", {}, key(1));
  s.hello(2, "bob", {}, key(2));
  CHECK(s.coordinator.live_peers() == 2);
  CHECK(s.coordinator.position().keys.at(PeerId{0}) == key(1));
  s.hello(3, "ann", {}, key(3));
  REQUIRE(last_error(s));
  CHECK(last_error(s)->code == protocol::ErrorCode::kUnauthorised);
  CHECK(last_error(s)->text.find("another key") != std::string::npos);
  CHECK(s.coordinator.live_peers() == 2);

  // A run that goes on knows them still.
  Server again(config(2), s.coordinator.position());
  again.hello(1, "ann", {}, key(3));
  REQUIRE(last_error(again));
  CHECK(last_error(again)->code == protocol::ErrorCode::kUnauthorised);
  again.hello(2, "ann", {}, key(1));
  CHECK(again.coordinator.live_peers() == 1);
}

TEST_CASE("fault 28: who is revoked is told so and is not in the run") {
  Server s(config(2));
  s.hello(1, "ann", {}, key(1));
  s.hello(2, "bob", {}, key(2));
  s.feed(KeyRevoked{{2}, "the key of bob was taken out"});
  REQUIRE(last_error(s));
  CHECK(last_error(s)->code == protocol::ErrorCode::kUnauthorised);
  CHECK(last_error(s)->text == "the key of bob was taken out");
  CHECK(s.coordinator.live_peers() == 1);
  s.feed(KeyRevoked{{77}, "a stranger"});  // has no peers
  CHECK(s.coordinator.live_peers() == 1);
}

TEST_CASE("a swap names the keys of both ends of each edge") {
  auto settings = config(3);
  settings.swap_epochs = 0.01;
  Server s(settings);
  for (int i = 1; i <= 3; ++i)
    s.hello(static_cast<std::uint64_t>(i), "p" + std::to_string(i), {}, key(i));
  for (int round = 0; round < 5 && s.sent<protocol::Swap>() == 0; ++round)
    for (std::uint32_t peer = 0; peer < 3; ++peer)
      for (std::uint32_t batch = 0; batch < 2; ++batch)
        s.answer(peer + 1, {peer}, batch);
  std::size_t swaps = 0;
  for (const ServerEffect& effect : s.effects) {
    const auto* send = std::get_if<SendMessage>(&effect);
    const auto* swap =
        send ? std::get_if<protocol::Swap>(&send->message.body) : nullptr;
    if (swap == nullptr) continue;
    ++swaps;
    CHECK(swap->target_key == key(static_cast<int>(swap->target.value) + 1));
    CHECK(swap->source_key == key(static_cast<int>(swap->source.value) + 1));
  }
  CHECK(swaps == 3);
}

TEST_CASE("a discriminator from a key that was not announced is dropped") {
  Peer p;
  p.be_ready();
  protocol::Swap plan = receives(4);
  plan.source_key = key(5);
  p.says(plan);
  TransferArrived forged = transfer(4, 1);  // with its token
  forged.key = key(6);
  CHECK_FALSE(p.session.may_await(forged.transfer, forged.key));
  p.feed(forged);
  CHECK(p.find<DropTransfer>());
  CHECK_FALSE(p.find<SaveTransfer>());
  CHECK_FALSE(p.said<protocol::Staged>());
  TransferArrived right = transfer(4, 2);
  right.key = key(5);
  CHECK(p.session.awaits(right.transfer, right.key));
  p.receive(right);
  REQUIRE(p.said<protocol::Staged>());
  CHECK(p.said<protocol::Staged>()->ok);
}

TEST_CASE("an early discriminator is used only if its key is announced") {
  Peer p;
  p.be_ready();
  TransferArrived forged = transfer(4, 1);
  forged.key = key(6);
  p.feed(forged);  // faster than the swap message, it seems
  protocol::Swap plan = receives(4);
  plan.source_key = key(5);
  p.says(plan);
  CHECK(p.find<DropTransfer>());
  CHECK_FALSE(p.find<SaveTransfer>());
}

TEST_CASE("a peer sends its discriminator to the key that the server names") {
  Peer p;
  p.be_ready();
  protocol::Swap plan = sends(4);
  plan.target_key = key(6);
  p.says(plan);
  REQUIRE(p.find<SendTransfer>());
  CHECK(p.find<SendTransfer>()->key == key(6));
}

TEST_CASE("fault 28: a peer that is let in no more ends with 4") {
  Peer p;
  p.be_ready();
  p.says(protocol::ErrorReply{protocol::ErrorCode::kUnauthorised,
                              "the key of ann was taken out"});
  REQUIRE(p.find<Leave>());
  CHECK(p.find<Leave>()->code == ExitCode::kAuthentication);
  CHECK(p.find<Leave>()->text.find("taken out") != std::string::npos);
}

namespace {

// Exchanges with the holders of the keys 5 and 6 alone.
Peer peer_that_knows_5_and_6() {
  Peer p;
  p.session = Session([](const PublicKey& its) {
    return its == key(5) || its == key(6) ? "" : "it is not in known_peers";
  });
  p.be_ready();
  return p;
}

bool refuses(const Peer& p) {
  const auto* staged = p.said<protocol::Staged>();
  const auto* report = p.find<Report>();
  return staged && !staged->ok && report && report->warning &&
         staged->reason == report->text &&
         staged->reason.find("not in known_peers") != std::string::npos;
}

}  // namespace

TEST_CASE("with known peers a discriminator goes to nobody else") {
  Peer p = peer_that_knows_5_and_6();
  protocol::Swap plan = sends(4);
  plan.target_key = key(7);
  plan.source_key = key(5);
  p.says(plan);
  CHECK_FALSE(p.find<SendTransfer>());
  CHECK_FALSE(p.said<protocol::Staged>());
  // The server is told who it is that it does not send to: see Session.
  TransferArrived arrived = transfer(4, 1);
  arrived.key = key(5);
  p.feed(arrived);
  p.feed(TransferSaved{1});
  REQUIRE(p.effects.size() == 3);
  CHECK(p.said<protocol::Staged>()->ok);
  CHECK_FALSE(std::get<protocol::Staged>(
                  std::get<SayToServer>(p.effects[2]).message.body)
                  .ok);
  p.says(protocol::Abort{{4}, "as it was told"});
  CHECK(p.session.held().discriminator == DiscriminatorId{11});

  plan = sends(5);
  plan.receives = false;
  plan.target_key = key(7);
  p.says(plan);
  CHECK_FALSE(p.find<SendTransfer>());
  CHECK(refuses(p));

  plan.target_key = key(6);
  p.says(plan);
  REQUIRE(p.find<SendTransfer>());
  CHECK(p.find<SendTransfer>()->key == key(6));
}

TEST_CASE("with known peers a discriminator comes from nobody else") {
  Peer p = peer_that_knows_5_and_6();
  TransferArrived arrived = transfer(4, 1);
  arrived.key = key(7);
  CHECK_FALSE(p.session.may_await(arrived.transfer, arrived.key));
  p.feed(arrived);  // before it is announced
  CHECK(p.find<DropTransfer>());
  protocol::Swap plan = sends(4);
  plan.target_key = key(6);
  plan.source_key = key(7);
  p.says(plan);
  CHECK_FALSE(p.find<SendTransfer>());
  CHECK(refuses(p));
  p.feed(arrived);
  CHECK(p.find<DropTransfer>());
  CHECK_FALSE(p.find<SaveTransfer>());

  plan = receives(5);
  plan.source_key = key(5);
  p.says(plan);
  arrived = transfer(5, 2);
  arrived.key = key(5);
  p.receive(arrived);
  REQUIRE(p.said<protocol::Staged>());
  CHECK(p.said<protocol::Staged>()->ok);
}

TEST_CASE("a key is awaited from its exchange's beginning to its end") {
  Peer p;
  p.be_ready();
  CHECK(p.session.awaited_keys().empty());
  protocol::Swap plan = receives(4);
  plan.source_key = key(5);
  p.says(plan);
  CHECK(p.session.awaited_keys() == std::vector{key(5)});
  TransferArrived arrived = transfer(4, 1);
  arrived.key = key(5);
  p.receive(arrived);
  CHECK(p.session.awaited_keys() == std::vector{key(5)});
  SECTION("committed") { p.says(protocol::Commit{{4}}); }
  SECTION("aborted") { p.says(protocol::Abort{{4}, "too slow"}); }
  SECTION("its end did not arrive") { p.feed(Connected{}); }
  SECTION("the peer leaves") {
    p.feed(LeaveRequested{});
    p.feed(LeaveRequested{});
  }
  CHECK(p.session.awaited_keys().empty());
}

TEST_CASE("a key is awaited while the exchange waits for the trainer") {
  Peer p;
  p.feed(Connected{});
  p.welcome();
  protocol::Swap plan = sends(4);
  plan.source_key = key(5);
  p.says(plan);
  CHECK(p.session.awaited_keys() == std::vector{key(5)});
  p.says(protocol::Abort{{4}, "too slow"});
  CHECK(p.session.awaited_keys().empty());
}

}  // namespace mdgan::test
