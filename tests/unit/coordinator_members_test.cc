// Single situations of hello, welcome and loss that the simulation meets too
// rarely.
#include <algorithm>

#include "server/core/coordinator.h"
#include "tests/support/catch.h"
#include "tests/support/core_server.h"

namespace mdgan::test {

using namespace std::chrono_literals;

TEST_CASE("who cannot do the run's codecs is refused by name, others train") {
  CoordinatorConfig c = config(1);
  c.codecs = {ImageCodec::kUint8, FeedbackCodec::kInt8, SwapCodec::kFloat32};
  Server s(c);
  s.hello(1, "old");
  s.hello(2, "half",
          [](protocol::Hello& hello) { hello.abilities = {"image-uint8"}; });
  CHECK(s.sent<protocol::Welcome>() == 0);
  std::vector<std::string> refusals;
  for (const ServerEffect& effect : s.effects)
    if (const auto* send = std::get_if<SendMessage>(&effect))
      if (const auto* error =
              std::get_if<protocol::ErrorReply>(&send->message.body)) {
        CHECK(error->code == protocol::ErrorCode::kMismatch);
        refusals.push_back(error->text);
      }
  REQUIRE(refusals.size() == 2);
  CHECK(refusals[0].find("image-uint8, which peer old") != std::string::npos);
  CHECK(refusals[1].find("feedback-int8, which peer half") !=
        std::string::npos);
  CHECK(refusals[1].find("feedback-codec = float32") != std::string::npos);

  s.hello(3, "new", [](protocol::Hello& hello) {
    hello.abilities = {"swap-bfloat16", "feedback-int8", "image-uint8",
                       "later"};
  });
  REQUIRE(s.sent<protocol::Welcome>() == 1);
  for (const ServerEffect& effect : s.effects)
    if (const auto* send = std::get_if<SendMessage>(&effect))
      if (const auto* welcome =
              std::get_if<protocol::Welcome>(&send->message.body))
        CHECK(welcome->codecs ==
              std::vector<std::string>{"image-uint8", "feedback-int8"});
  CHECK(s.sent<protocol::RoundBegin>() == 1);
}

TEST_CASE("a hello that the codecs rule out does not decide the model") {
  CoordinatorConfig c = config(1);
  c.codecs.image = ImageCodec::kUint8;
  Coordinator coordinator(c);
  protocol::Hello hello;
  hello.name = "old";
  hello.shard_size = 1000;
  hello.image = kImage;
  protocol::Message message;
  message.body = hello;
  std::vector<ServerEffect> out;
  coordinator.handle(MessageArrived{{1}, message, ""},
                     TimePoint(std::chrono::hours(1)), out);
  CHECK(std::ranges::none_of(out, [](const ServerEffect& effect) {
    return std::holds_alternative<DecideModel>(effect);
  }));
}

TEST_CASE(
    "a resumed run restores who has the checkpoint, and who has none waits") {
  RunPosition position;
  position.completed = {40};
  position.names = {{"a", {0}}, {"b", {1}}};
  position.discriminators = {{{0}, {7}}, {{1}, {8}}};
  CoordinatorConfig c = config(2);
  c.run[0] = std::byte{9};
  Server s(c, position);
  const auto start_of_last = [&] {
    protocol::Start start{};
    for (const auto& e : s.effects)
      if (const auto* send = std::get_if<SendMessage>(&e))
        if (const auto* w = std::get_if<protocol::Welcome>(&send->message.body))
          start = w->start;
    return start;
  };
  s.hello(1, "a", [&](auto& h) {
    h.saved = {{c.run, {20}, {7}}, {c.run, {40}, {7}}};
  });
  CHECK(start_of_last() == protocol::Start::kRestore);
  s.hello(2, "b");
  CHECK(start_of_last() == protocol::Start::kReceive);
  CHECK(s.sent<protocol::Swap>() == 2);  // donor and receiver
}

TEST_CASE("nobody has a discriminator before a server has named it") {
  RunPosition position;
  position.completed = {20};
  position.names = {{"a", {0}}, {"b", {1}}};
  position.discriminators = {{{0}, {7}}, {{1}, {8}}};
  CoordinatorConfig c = config(2);
  Server s(c, position);
  s.hello(1, "a", [](auto& h) { h.saved = {{RunId{}, {20}, {7}}}; });
  s.hello(2, "c", [&](auto& h) {
    h.saved = {{RunId{}, {20}, {std::uint64_t{c.incarnation} << 32 | 1}},
               {RunId{}, {20}, {std::uint64_t{c.incarnation + 1} << 32 | 1}}};
  });
  CHECK(s.coordinator.position().discriminators.at({0}) == DiscriminatorId{7});
  CHECK_FALSE(s.coordinator.position().discriminators.contains({2}));
}

TEST_CASE(
    "newcomers with the discriminators of two absent peers leave no gap") {
  RunPosition position;
  position.completed = {20};
  position.names = {{"a", {0}}, {"b", {1}}};
  position.discriminators = {{{0}, {7}}, {{1}, {8}}};
  Server s(config(2), position);
  for (const std::uint64_t id : {7U, 8U})
    s.hello(id, "new-" + std::to_string(id), [&](auto& h) {
      h.saved = {{RunId{}, {20}, {id}}};
    });
  const auto& owners = s.coordinator.position().discriminators;
  CHECK(owners == std::map<PeerId, DiscriminatorId>{{{2}, {7}}, {{3}, {8}}});
}

TEST_CASE("a donor need not go on sending to a joiner that is gone") {
  Server s(config(1));
  s.hello(1, "a");
  s.answer(1, {0}, 0);
  s.hello(2, "b");
  REQUIRE(s.sent<protocol::Swap>() == 2);
  s.feed(ConnectionLost{{2}});
  REQUIRE(s.sent<protocol::Abort>() == 1);
  for (const ServerEffect& e : s.effects)
    if (const auto* send = std::get_if<SendMessage>(&e))
      if (std::holds_alternative<protocol::Abort>(send->message.body))
        CHECK(send->message.peer == PeerId{0});
}

TEST_CASE("another process with a live peer's name is refused") {
  Server s(config(2));
  s.hello(1, "a");
  s.hello(2, "a");
  CHECK(s.sent<protocol::ErrorReply>() == 1);
  CHECK(s.coordinator.live_peers() == 1);
  s.feed(ConnectionLost{{1}});
  s.hello(2, "a");
  CHECK(s.coordinator.live_peers() == 1);
  CHECK(s.sent<protocol::Welcome>() == 2);
}

TEST_CASE("a hello said twice is answered alike, a new one on its own terms") {
  CoordinatorConfig c = config(1);
  c.swap_epochs = 0;
  Server s(c);
  s.hello(1, "a");
  s.hello(1, "a");
  CHECK(s.sent<protocol::Welcome>() == 2);
  s.answer(1, {0}, 0);
  s.answer(1, {0}, 0);
  REQUIRE(s.coordinator.position().completed == Round{2});
  // It fell behind and begins anew, on the same connection: with what it holds.
  s.hello(1, "a", [](protocol::Hello& h) {
    h.held = {RunId{}, {2}, {std::uint64_t{1} << 32 | 1}};
  });
  const auto last = std::ranges::find_if(
      s.effects.rbegin(), s.effects.rend(), [](const ServerEffect& e) {
        const auto* send = std::get_if<SendMessage>(&e);
        return send &&
               std::holds_alternative<protocol::Welcome>(send->message.body);
      });
  REQUIRE(last != s.effects.rend());
  const auto& welcome =
      std::get<protocol::Welcome>(std::get<SendMessage>(*last).message.body);
  CHECK(welcome.start == protocol::Start::kKeep);
  s.answer(1, {0}, 0);  // and takes part again
  CHECK(s.coordinator.position().completed == Round{3});
}

TEST_CASE("a peer that goes on from an older round than the run is told of") {
  CoordinatorConfig c = config(1);
  RunPosition position;
  position.completed = {20};
  position.names["a"] = {0};
  position.discriminators[{0}] = {7};
  Server s(c, position);
  s.hello(1, "a", [](protocol::Hello& h) {
    h.saved = {{RunId{}, {5}, {7}}, {RunId{}, {10}, {7}}};
  });
  CHECK(std::ranges::any_of(s.effects, [](const ServerEffect& e) {
    const auto* note = std::get_if<Note>(&e);
    return note && note->warning &&
           note->text.find("goes on from round 10") != std::string::npos;
  }));
}

TEST_CASE("a peer that does not know the run's algorithm is refused") {
  CoordinatorConfig config;
  config.algorithm = Algorithm::kDataParallel;
  config.rounds = 3;
  Server server(config);
  server.hello(1, "old");
  bool refused = false;
  for (const ServerEffect& effect : server.effects)
    if (const auto* sent = std::get_if<SendMessage>(&effect))
      if (const auto* error =
              std::get_if<protocol::ErrorReply>(&sent->message.body))
        refused = error->code == protocol::ErrorCode::kMismatch &&
                  error->text.find("data-parallel") != std::string::npos;
  CHECK(refused);
  CHECK(server.coordinator.live_peers() == 0);
}

TEST_CASE("the view tells the run's stage and what each member is about") {
  CoordinatorConfig c = config(2);
  Server s(c);
  CHECK(s.coordinator.view().stage == RunStage::kWaiting);
  CHECK(s.coordinator.view().needed == 2);
  s.hello(1, "a");
  s.hello(2, "b");
  const TimePoint asked = s.now;
  s.now += 1s;
  s.answer(1, {0}, 0);
  CoordinatorView view = s.coordinator.view();
  CHECK(view.stage == RunStage::kCollecting);
  CHECK(view.started);
  CHECK(view.live == 2);
  CHECK(view.needed == 1);
  REQUIRE(view.members.size() == 2);
  CHECK(view.members[0].name == "a");
  CHECK(view.members[0].shard_size == 1000);
  CHECK(view.members[0].endpoint == "tcp://h:1");
  CHECK(view.members[0].last_heard == s.now);
  CHECK_FALSE(view.members[0].owes_since);
  CHECK(view.members[1].id == PeerId{1});
  CHECK(view.members[1].last_heard == asked);
  CHECK(view.members[1].owes_since == asked);
  s.wait(60s);  // the round goes on without b
  view = s.coordinator.view();
  CHECK(view.completed == Round{1});
  CHECK(view.members[0].missed == 0);
  CHECK(view.members[1].missed == 1);
  s.hello(3, "c");  // a copy of a's discriminator or b's
  view = s.coordinator.view();
  REQUIRE(view.members.size() == 3);
  CHECK(view.members[2].presence == Presence::kCopying);
  CHECK(view.members[2].in_exchange);
  CHECK(name_of(kPresenceNames, view.members[2].presence) == "copying");
  s.feed(ConnectionLost{{3}});
  // Its name is not kept: it has had no part in the training.
  CHECK(s.coordinator.view().members.size() == 2);
  s.feed(ConnectionLost{{1}});
  CHECK(s.coordinator.view().members[0].presence == Presence::kAbsent);
}

TEST_CASE("all peers of a lost connection are lost before anything follows") {
  CoordinatorConfig c = config(4);
  c.swap_epochs = 0.01;  // of 1,000 images: a swap after every round
  Server s(c);
  s.hello(1, "a");
  s.hello(1, "b");
  s.hello(2, "c");
  s.hello(3, "d");
  s.answer(1, {0}, 0);
  s.answer(1, {1}, 1);
  s.answer(2, {2}, 0);
  s.answer(3, {3}, 1);
  REQUIRE(s.coordinator.view().stage == RunStage::kSwapping);
  s.effects.clear();
  s.feed(ConnectionLost{{1}});
  CHECK(s.coordinator.view().stage == RunStage::kCollecting);
  CHECK(s.coordinator.counters().lost_peers == 2);
  for (const ServerEffect& effect : s.effects)
    if (const auto* send = std::get_if<SendMessage>(&effect))
      CHECK(send->connection != ConnectionId{1});
  CHECK(s.sent<protocol::RoundBegin>() == 2);
}

TEST_CASE("who joins, is lost or leaves is told by kind and name") {
  Server s(config(3));
  for (std::uint64_t i = 1; i <= 3; ++i) s.hello(i, std::to_string(i));
  s.feed(ConnectionLost{{1}});
  s.feed(MessageArrived{
      {2},
      {RunId{}, 1, {}, {1}, protocol::Goodbye{protocol::Reason::kLeaving, ""}},
      ""});
  std::vector<std::pair<NoteKind, std::string>> told;
  for (const ServerEffect& e : s.effects)
    if (const auto* note = std::get_if<Note>(&e);
        note && note->kind != NoteKind::kOther)
      told.emplace_back(note->kind, note->peer);
  CHECK(told ==
        std::vector<std::pair<NoteKind, std::string>>{{NoteKind::kJoined, "1"},
                                                      {NoteKind::kJoined, "2"},
                                                      {NoteKind::kJoined, "3"},
                                                      {NoteKind::kLost, "1"},
                                                      {NoteKind::kLeft, "2"}});
}

TEST_CASE("the lowest free number is given, whatever others wish") {
  Server s(config(9));
  s.hello(1, "two", [](auto& h) { h.index = 2; });
  for (std::uint64_t i = 2; i <= 4; ++i) s.hello(i, std::to_string(i));
  s.hello(5, "also two", [](auto& h) { h.index = 2; });
  const auto& names = s.coordinator.position().names;
  CHECK(names.at("two") == PeerId{2});
  CHECK(names.at("2") == PeerId{0});
  CHECK(names.at("3") == PeerId{1});
  CHECK(names.at("4") == PeerId{3});
  CHECK(names.at("also two") == PeerId{4});
}

TEST_CASE("hellos before the model are answered in the order they came first") {
  Coordinator coordinator(config(3));
  std::vector<ServerEffect> out;
  const TimePoint now{std::chrono::hours(1)};
  const auto hello = [&](std::uint64_t connection, const std::string& name) {
    protocol::Hello body;
    body.name = name;
    body.shard_size = 1000;
    body.image = kImage;
    protocol::Message message;
    message.body = body;
    coordinator.handle(MessageArrived{{connection}, message, ""}, now, out);
  };
  hello(1, "a");
  hello(2, "b");
  hello(1, "a");  // said again
  TrainingSpec spec;
  spec.image = kImage;
  coordinator.handle(ModelReady{spec, {}, 100}, now, out);
  CHECK(coordinator.live_peers() == 2);
  CHECK(coordinator.position().names.at("a") == PeerId{0});
  CHECK(coordinator.position().names.at("b") == PeerId{1});
}

}  // namespace mdgan::test
