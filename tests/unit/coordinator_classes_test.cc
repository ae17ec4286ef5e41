// What a label means: the classes of a run, from its configuration or from the
// peers that start it.
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "server/core/coordinator.h"
#include "tests/support/catch.h"
#include "tests/support/core_server.h"

namespace mdgan::test {

using namespace std::chrono_literals;

namespace {

// A coordinator whose model takes a while: it is ready when the test says so.
class Run {
 public:
  explicit Run(std::uint32_t peers, ClassNames classes = {},
               bool conditional = true)
      : coordinator([&] {
          CoordinatorConfig c = config(peers);
          c.conditional = conditional;
          c.classes = std::move(classes);
          return c;
        }()) {
    feed(Started{});
  }

  void feed(const ServerEvent& event) {
    std::vector<ServerEffect> out;
    coordinator.handle(event, now, out);
    effects.insert(effects.end(), out.begin(), out.end());
  }

  void hello(std::uint64_t connection, const std::string& name,
             const ClassNames& classes,
             const std::vector<std::uint64_t>& counts = {},
             std::uint64_t shard_size = 1000) {
    protocol::Hello hello;
    hello.name = name;
    hello.shard_size = shard_size;
    hello.image = {1, 4, 4, static_cast<std::uint32_t>(classes.size())};
    hello.endpoint = "tcp://h:1";
    hello.nonce = connection;
    hello.classes = classes;
    hello.class_counts = counts;
    protocol::Message message;
    message.body = hello;
    feed(MessageArrived{{connection}, message, "", 0, {}});
  }

  const DecideModel* asked() const {
    for (const ServerEffect& effect : effects)
      if (const auto* decide = std::get_if<DecideModel>(&effect)) return decide;
    return nullptr;
  }

  void make_model() {
    REQUIRE(asked() != nullptr);
    TrainingSpec spec;
    spec.image = asked()->image;
    spec.classes = asked()->classes;
    spec.condition = Condition::kAcgan;
    feed(ModelReady{spec, {}, 100});
  }

  template <typename Body>
  std::vector<Body> sent_to(std::uint64_t connection) const {
    std::vector<Body> bodies;
    for (const ServerEffect& effect : effects)
      if (const auto* send = std::get_if<SendMessage>(&effect))
        if (const auto* body = std::get_if<Body>(&send->message.body);
            body && send->connection.value == connection)
          bodies.push_back(*body);
    return bodies;
  }
  // Why the connection's peer was refused; empty: it was not.
  std::string refusal(std::uint64_t connection) const {
    const auto errors = sent_to<protocol::ErrorReply>(connection);
    return errors.empty() ? "" : errors.back().text;
  }
  bool welcomed(std::uint64_t connection) const {
    return !sent_to<protocol::Welcome>(connection).empty();
  }

  Coordinator coordinator;
  TimePoint now{1h};
  std::vector<ServerEffect> effects;
};

bool says(const std::string& text, const std::string& part) {
  INFO(text);
  return text.find(part) != text.npos;
}

}  // namespace

TEST_CASE("the run's classes are the union of what its first peers have") {
  Run run(2);
  run.hello(1, "A", {"cat", "dog"}, {600, 400});
  CHECK(run.asked() == nullptr);
  run.hello(2, "B", {"dog", "fox"}, {100, 900});
  REQUIRE(run.asked() != nullptr);
  CHECK(run.asked()->classes == ClassNames{"cat", "dog", "fox"});
  CHECK(run.asked()->image == ImageShape{1, 4, 4, 3});
  run.make_model();
  REQUIRE(run.welcomed(1));
  REQUIRE(run.welcomed(2));
  CHECK(run.sent_to<protocol::Welcome>(2)[0].spec.classes ==
        ClassNames{"cat", "dog", "fox"});
  const CoordinatorView view = run.coordinator.view();
  CHECK(view.classes == ClassNames{"cat", "dog", "fox"});
  REQUIRE(view.members.size() == 2);
  CHECK(view.members[0].class_counts ==
        std::vector<std::uint64_t>{600, 400, 0});
  CHECK(view.members[1].class_counts ==
        std::vector<std::uint64_t>{0, 100, 900});
}

TEST_CASE("who waits for others' classes is told how many are awaited") {
  Run run(3);
  run.hello(1, "A", {"cat"});
  run.hello(2, "B", {"dog"});
  const auto told = run.sent_to<protocol::Progress>(2);
  REQUIRE(told.size() == 1);
  CHECK(told[0].phase == protocol::Phase::kWaiting);
  CHECK(told[0].live == 2);
  CHECK(told[0].needed == 3);
  CHECK(run.coordinator.view().live == 2);
  CHECK(run.coordinator.knows({1}));
  run.hello(1, "A", {"cat"});  // said again
  CHECK(run.coordinator.view().live == 2);
}

TEST_CASE("peers that are gone have no say in the run's classes") {
  Run run(2);
  run.hello(1, "A", {"cat"});
  run.feed(ConnectionLost{{1}});
  CHECK(run.coordinator.view().live == 0);
  CHECK_FALSE(run.coordinator.knows({1}));
  run.hello(2, "B", {"dog"});
  run.now += 20s;  // B says nothing any more, though its connection stays
  run.hello(3, "C", {"fox"});
  CHECK(run.asked() == nullptr);
  run.hello(4, "D", {"owl"});
  REQUIRE(run.asked() != nullptr);
  CHECK(run.asked()->classes == ClassNames{"fox", "owl"});
}

TEST_CASE("who is refused for one class has no say in how others are spelt") {
  Run run(3);
  run.hello(1, "a", {"cat"});
  run.hello(2, "b", {"Bird", "Cat"});
  run.hello(3, "c", {"bird", "cat"});
  std::vector<std::uint64_t> refused;
  for (const ServerEffect& effect : run.effects)
    if (const auto* sent = std::get_if<SendMessage>(&effect))
      if (std::holds_alternative<protocol::ErrorReply>(sent->message.body))
        refused.push_back(sent->connection.value);
  CHECK(refused == std::vector<std::uint64_t>{2});
  run.hello(4, "d", {"cat"});
  REQUIRE(run.asked());
  CHECK(run.asked()->classes == ClassNames{"bird", "cat"});
}

TEST_CASE("lists of classes of strangers take bounded memory", "[crowd]") {
  Run run(60'000);
  ClassNames names;
  for (int i = 0; i < 1000; ++i)
    names.push_back(std::to_string(i) + std::string(20, 'x'));
  const auto answered = [&] {
    return std::ranges::count_if(run.effects, [](const ServerEffect& effect) {
      const auto* sent = std::get_if<SendMessage>(&effect);
      return sent != nullptr &&
             std::holds_alternative<protocol::Progress>(sent->message.body);
    });
  };
  for (std::uint64_t i = 1; i <= 1500; ++i)
    run.hello(i, "p" + std::to_string(i), names);
  const auto most = answered();
  CHECK(most > 1000);
  CHECK(most < 1300);
  // A peer among them is answered again, and one that leaves makes room.
  run.hello(1, "p1", names);
  CHECK(answered() == most + 1);
  run.feed(ConnectionLost{{2}});
  run.hello(1500, "p1500", names);
  CHECK(answered() == most + 2);
}

TEST_CASE("who stops a run that waits for classes says so to all who wait") {
  Run run(2);
  run.hello(1, "A", {"cat"});
  run.feed(StopRequested{});
  CHECK(run.sent_to<protocol::Goodbye>(1).size() == 1);
}

TEST_CASE("two processes of one name are told apart before the start, too") {
  Run run(2);
  run.hello(1, "A", {"cat"});
  run.hello(2, "A", {"dog"});
  CHECK(says(run.refusal(2), "a live peer is named A"));
  CHECK(run.asked() == nullptr);
}

TEST_CASE(
    "a class that another peer spells otherwise is refused, told to both") {
  Run run(2);
  run.hello(1, "A", {"cat", "dog"});
  run.hello(2, "D", {"cat", "Dog"});
  CHECK(says(run.refusal(2), "peer D has the class 'Dog', and peer A 'dog'"));
  CHECK(run.asked() == nullptr);
  run.hello(3, "E", {"cat"});
  run.make_model();
  CHECK(run.asked()->classes == ClassNames{"cat", "dog"});
  REQUIRE(run.welcomed(1));
  CHECK(says(run.sent_to<protocol::Welcome>(1)[0].warning, "'Dog'"));
}

TEST_CASE("a peer whose own classes look alike is refused") {
  Run run(2);
  run.hello(1, "A", {"red fox", "redfox"});
  CHECK(says(run.refusal(1), "'red fox' and 'redfox'"));
}

TEST_CASE("a later peer may lack classes, and has no other ones") {
  Run run(1, {"cat", "dog", "fox"});
  run.hello(1, "A", {"dog"}, {1000});
  run.make_model();
  CHECK(run.asked()->image.classes == 3);
  CHECK(run.welcomed(1));
  run.hello(2, "G", {"bird", "cat"});
  CHECK(says(run.refusal(2),
             "peer G has the class 'bird', which is none of this run's "
             "(cat, dog, fox)"));
  run.hello(3, "H", {"CAT"});
  CHECK(says(run.refusal(3), "'CAT', which this run calls 'cat'"));
  run.hello(4, "E", {"fox", "cat"}, {1, 1});
  CHECK(run.welcomed(4));
  CHECK(run.coordinator.view().members.back().class_counts ==
        std::vector<std::uint64_t>{1, 0, 1});
}

TEST_CASE("with a list the first peer decides the image alone") {
  Run run(5, {"cat", "dog"});
  CHECK(run.asked() == nullptr);
  run.hello(1, "A", {"dog"});
  REQUIRE(run.asked() != nullptr);
  CHECK(run.asked()->classes == ClassNames{"cat", "dog"});
}

TEST_CASE("labels are asked for where the run uses them, and only there") {
  Run run(2);
  run.hello(1, "flat", {});
  CHECK(says(run.refusal(1), "peer flat has no labels"));
  Run without(2, {}, false);
  without.hello(1, "A", {"cat", "dog"}, {500, 500});
  REQUIRE(without.asked() != nullptr);  // nothing is awaited
  CHECK(without.asked()->classes.empty());
  CHECK(without.asked()->image.classes == 0);
  without.make_model();
  without.hello(2, "flat", {});
  without.hello(3, "D", {"Cat", "owl"});
  CHECK(without.welcomed(2));
  CHECK(without.welcomed(3));
  CHECK(without.coordinator.view().members[0].class_counts.empty());
}

TEST_CASE("who cannot take part does not count for the start") {
  Run run(2);
  run.hello(1, "A", {"cat"});
  run.hello(2, "small", {"owl"}, {}, 3);
  CHECK(says(run.refusal(2), "fewer than a batch"));
  CHECK(run.asked() == nullptr);
}

}  // namespace mdgan::test
