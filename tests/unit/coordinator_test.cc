// Single situations of the coordinator that the simulation meets too rarely.
#include "server/core/coordinator.h"

#include <algorithm>
#include <functional>

#include "tests/support/catch.h"

using namespace mdgan;
using namespace std::chrono_literals;

namespace {

constexpr ImageShape kImage{1, 4, 4, 10};

// A coordinator with its peers on connections 1, 2, ... that answers for the
// shell what the test does not care about.
class Server {
 public:
  explicit Server(CoordinatorConfig config, RunPosition position = {})
      : coordinator(config, position), config_(config) {
    TrainingSpec spec;
    spec.image = kImage;
    feed(ModelReady{spec, {}, 100});
  }

  void feed(const ServerEvent& event) {
    std::vector<ServerEffect> out;
    coordinator.handle(event, now, out);
    for (const ServerEffect& effect : out) {
      effects.push_back(effect);
      if (!stalled)
        if (const auto* g = std::get_if<GenerateBatches>(&effect))
          later_.push_back(BatchesReady{g->round});
      if (const auto* s = std::get_if<StepGenerator>(&effect))
        later_.push_back(GeneratorStepped{s->round});
    }
    while (!later_.empty()) {
      const ServerEvent next = later_.front();
      later_.erase(later_.begin());
      feed(next);
    }
  }

  void hello(std::uint64_t connection, const std::string& name,
             const std::function<void(protocol::Hello&)>& change = {}) {
    protocol::Hello hello;
    hello.name = name;
    hello.shard_size = 1000;
    hello.image = kImage;
    hello.endpoint = "tcp://h:1";
    hello.nonce = connection;
    if (change) change(hello);
    protocol::Message message;
    message.body = hello;
    feed(MessageArrived{{connection}, message, ""});
  }

  void answer(std::uint64_t connection, PeerId peer, std::uint32_t generated,
              const std::string& defect = "") {
    protocol::Message message{config_.run,
                              config_.incarnation,
                              {coordinator.position().completed.value + 1},
                              peer,
                              protocol::Feedback{generated, 0, 0, 0, {}}};
    feed(MessageArrived{{connection}, message, defect});
  }

  void wait(Duration time) {
    now += time;
    feed(TimePassed{});
  }

  template <typename Effect>
  std::size_t count() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(effects, [](const ServerEffect& e) {
          return std::holds_alternative<Effect>(e);
        }));
  }
  template <typename Body>
  std::size_t sent() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(effects, [](const ServerEffect& e) {
          const auto* send = std::get_if<SendMessage>(&e);
          return send && std::holds_alternative<Body>(send->message.body);
        }));
  }
  const Finish* finish() const {
    const auto* last = effects.empty() ? nullptr : &effects.back();
    return last ? std::get_if<Finish>(last) : nullptr;
  }

  Coordinator coordinator;
  TimePoint now{std::chrono::hours(1)};
  bool stalled = false;  // GenerateBatches is not answered
  std::vector<ServerEffect> effects;

 private:
  CoordinatorConfig config_;
  std::vector<ServerEvent> later_;
};

CoordinatorConfig config(std::uint32_t peers) {
  CoordinatorConfig c;
  c.min_peers = peers;
  c.k = default_k(peers);
  c.rounds = 1000;
  c.swap_epochs = 0;
  return c;
}

}  // namespace

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
  hello.image = kImage;
  protocol::Message message;
  message.body = hello;
  std::vector<ServerEffect> out;
  coordinator.handle(MessageArrived{{1}, message, ""},
                     TimePoint(std::chrono::hours(1)), out);
  REQUIRE(out.size() == 1);
  CHECK(std::holds_alternative<SendMessage>(out[0]));
}

TEST_CASE("a run that stops while batches are made and everybody leaves ends") {
  Server s(config(2));
  s.stalled = true;
  s.hello(1, "a");
  s.hello(2, "b");
  s.feed(StopRequested{});
  s.feed(ConnectionLost{{1}});
  s.feed(ConnectionLost{{2}});
  s.feed(BatchesReady{{1}});
  REQUIRE(s.finish() != nullptr);
  CHECK(s.finish()->code == ExitCode::kOk);
}

TEST_CASE("a stop waits no longer than the round's deadline for a hung peer") {
  Server s(config(2));
  s.hello(1, "a");
  s.hello(2, "b");
  s.feed(StopRequested{});
  s.answer(1, {0}, 0);
  CHECK(s.finish() == nullptr);
  s.wait(61s);
  REQUIRE(s.finish() != nullptr);
  CHECK(s.finish()->code == ExitCode::kOk);
  CHECK(s.coordinator.position().completed.value == 1);
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

TEST_CASE(
    "below the quorum for too long the run saves, peers too, and ends 8") {
  Server s(config(2));
  s.hello(1, "a");
  s.hello(2, "b");
  s.answer(1, {0}, 0);
  s.answer(2, {1}, 1);
  CHECK(s.coordinator.position().completed.value == 1);
  s.feed(ConnectionLost{{1}});
  s.feed(ConnectionLost{{2}});
  s.hello(3, "a", [](auto& h) { h.nonce = 30; });  // needs 1: goes on alone
  const auto saved = s.count<SaveCheckpoint>();
  s.feed(ConnectionLost{{3}});
  s.wait(301s);
  REQUIRE(s.finish() != nullptr);
  CHECK(s.finish()->code == ExitCode::kBelowQuorum);
  CHECK(s.count<SaveCheckpoint>() == saved + 1);
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

TEST_CASE("nothing but rubbish ends the run with 8") {
  Server s(config(1));
  s.hello(1, "a");
  for (int i = 0; i < 10 && !s.finish(); ++i) s.answer(1, {0}, 0, "not finite");
  REQUIRE(s.finish() != nullptr);
  CHECK(s.finish()->code == ExitCode::kBelowQuorum);
  CHECK(s.count<StepGenerator>() == 0);
}

TEST_CASE(
    "a resumed run restores who has the checkpoint, and who has none waits") {
  RunPosition position;
  position.completed = {40};
  position.names = {{"a", {0}}, {"b", {1}}};
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
    h.held_run = c.run;
    h.checkpoints = {20, 40};
  });
  CHECK(start_of_last() == protocol::Start::kRestore);
  s.hello(2, "b");
  CHECK(start_of_last() == protocol::Start::kReceive);
  CHECK(s.sent<protocol::Swap>() == 2);  // donor and receiver
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
    h.held_run = RunId{};
    h.held_round = {2};
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
  Server s(c, position);
  s.hello(1, "a", [](protocol::Hello& h) {
    h.held_run = RunId{};
    h.checkpoints = {5, 10};
  });
  CHECK(std::ranges::any_of(s.effects, [](const ServerEffect& e) {
    const auto* note = std::get_if<Note>(&e);
    return note && note->warning &&
           note->text.find("goes on from round 10") != std::string::npos;
  }));
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
  // Once where the rounds pass 100, once at the end.
  CHECK(server.count<SaveCheckpoint>() == 2);
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
  CHECK(s.coordinator.view().members[2].presence == Presence::kAbsent);
  CHECK_FALSE(s.coordinator.view().members[2].in_exchange);
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

TEST_CASE("hellos before the model are answered in the order they came last") {
  Coordinator coordinator(config(3));
  std::vector<ServerEffect> out;
  const TimePoint now{std::chrono::hours(1)};
  const auto hello = [&](std::uint64_t connection, const std::string& name) {
    protocol::Hello body;
    body.name = name;
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
  CHECK(coordinator.position().names.at("b") == PeerId{0});
  CHECK(coordinator.position().names.at("a") == PeerId{1});
}
