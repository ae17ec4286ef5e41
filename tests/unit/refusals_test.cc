// Refusals: which peers are refused and who is told of it; and what a run waits
// for, in words.
#include "server/run/refusals.h"

#include <algorithm>
#include <string>
#include <variant>

#include "server/core/coordinator.h"
#include "server/run/waiting.h"
#include "tests/support/catch.h"
#include "tests/support/core_server.h"

namespace mdgan::test {

using namespace std::chrono_literals;

namespace {

template <typename Effect>
const Effect* last(const std::vector<ServerEffect>& effects) {
  const Effect* found = nullptr;
  for (const ServerEffect& effect : effects)
    if (const auto* e = std::get_if<Effect>(&effect)) found = e;
  return found;
}

const protocol::ErrorReply* last_error(
    const std::vector<ServerEffect>& effects) {
  const protocol::ErrorReply* found = nullptr;
  for (const ServerEffect& effect : effects)
    if (const auto* send = std::get_if<SendMessage>(&effect))
      if (const auto* error =
              std::get_if<protocol::ErrorReply>(&send->message.body))
        found = error;
  return found;
}

MemberView member_of_view(std::uint32_t id, const std::string& name,
                          Presence presence) {
  MemberView view;
  view.id = {id};
  view.name = name;
  view.presence = presence;
  return view;
}

CoordinatorView waiting_view() {
  CoordinatorView view;
  view.stage = RunStage::kWaiting;
  view.needed = 5;
  view.live = 3;
  for (std::uint32_t i = 0; i < 3; ++i)
    view.members.push_back(member_of_view(
        i, "hospital-" + std::string(1, static_cast<char>('a' + i)),
        Presence::kLive));
  return view;
}

}  // namespace

TEST_CASE("fault 41: a shard smaller than a batch is refused before it joins") {
  Server s(config(1));
  const std::uint32_t batch = TrainingSpec{}.batch;
  s.hello(1, "small",
          [&](protocol::Hello& hello) { hello.shard_size = batch - 1; });
  CHECK(s.sent<protocol::Welcome>() == 0);
  CHECK(s.coordinator.live_peers() == 0);
  REQUIRE(last_error(s.effects) != nullptr);
  CHECK(last_error(s.effects)->code == protocol::ErrorCode::kData);
  CHECK(last_error(s.effects)->text.find("fewer than a batch of " +
                                         std::to_string(batch)) !=
        std::string::npos);
  s.hello(2, "enough",
          [&](protocol::Hello& hello) { hello.shard_size = batch; });
  CHECK(s.coordinator.live_peers() == 1);
}

TEST_CASE("who is refused is reported by name, with what it was told") {
  Server s(config(1));
  s.hello(1, "other", [](protocol::Hello& hello) { hello.image.height = 5; });
  REQUIRE(last<ReportRefusal>(s.effects) != nullptr);
  CHECK(last<ReportRefusal>(s.effects)->name == "other");
  CHECK(last<ReportRefusal>(s.effects)->connection == ConnectionId{1});
  CHECK(last<ReportRefusal>(s.effects)->reason == last_error(s.effects)->text);

  s.hello(2, "one");
  s.hello(3, "one");  // its nonce is another: another process
  REQUIRE(last_error(s.effects)->code == protocol::ErrorCode::kNameInUse);
  CHECK(last<ReportRefusal>(s.effects)->name == "one");
  CHECK(last<ReportRefusal>(s.effects)->reason.find("a live peer") == 0);
}

TEST_CASE("fault 48: a server without memory for the model ends") {
  const auto refused_with = [](ExitCode code) {
    Coordinator coordinator(config(1));
    std::vector<ServerEffect> out;
    protocol::Message message;
    protocol::Hello hello;
    hello.name = "a";
    hello.shard_size = 1000;
    hello.image = kImage;
    message.body = hello;
    const TimePoint now{1h};
    coordinator.handle(MessageArrived{{1}, message, ""}, now, out);
    coordinator.handle(ModelRefused{{"cannot be made", code}}, now, out);
    return out;
  };
  const auto no_memory = refused_with(ExitCode::kBug);
  CHECK(last_error(no_memory) != nullptr);
  REQUIRE(last<Finish>(no_memory) != nullptr);
  CHECK(last<Finish>(no_memory)->code == ExitCode::kBug);
  // Another peer's images may fit.
  CHECK(last<Finish>(refused_with(ExitCode::kConfiguration)) == nullptr);
}

TEST_CASE("refusals are remembered, each once and not for ever") {
  Refusals refusals;
  std::chrono::system_clock::time_point now{};
  CHECK(refusals.add({"a", "10.0.0.1", "too small"}, now));
  CHECK_FALSE(refusals.add({"a", "10.0.0.1", "too small"}, now + 1s));
  CHECK(refusals.add({"a", "10.0.0.1", "another shape"}, now + 2s));
  REQUIRE(refusals.entries().size() == 2);
  CHECK(refusals.entries()[0].times == 2);
  CHECK(refusals.entries()[0].last == now + 1s);
  for (int i = 0; i < 100; ++i)
    refusals.add({"stranger-" + std::to_string(i), "", "why"}, now + 3s);
  CHECK(refusals.entries().size() == 16);
  CHECK_FALSE(refusals.has("a"));
  CHECK(refusals.has("stranger-99"));
}

TEST_CASE("a run says in words for whom it waits") {
  CoordinatorView view = waiting_view();
  Refusals refusals;
  CHECK(waiting_text(view, refusals) ==
        "waiting for 2 of 5 peers; here: hospital-a, hospital-b, hospital-c");

  view.members.push_back(member_of_view(3, "hospital-d", Presence::kAbsent));
  view.members.push_back(member_of_view(4, "hospital-e", Presence::kCopying));
  CHECK(waiting_text(view, refusals) ==
        "waiting for 2 of 5 peers: hospital-d, hospital-e (is given a "
        "discriminator)");
  refusals.add({"hospital-d", "", "why"}, {});
  refusals.add({"stranger", "", "why"}, {});
  view.started = true;
  view.completed = {12};
  CHECK(waiting_text(view, refusals) ==
        "paused after round 12: waiting for 2 of 5 peers: hospital-d "
        "(refused), hospital-e (is given a discriminator), stranger (refused)");
  for (std::uint32_t i = 5; i < 10; ++i)
    view.members.push_back(
        member_of_view(i, "more-" + std::to_string(i), Presence::kAbsent));
  CHECK(waiting_text(view, {}).ends_with("more-5, more-6, more-7 and 2 more"));

  view = waiting_view();
  view.stage = RunStage::kCollecting;
  CHECK(waiting_text(view, {}).empty());
  view.members[1].owes_since = TimePoint{1h};
  CHECK(waiting_text(view, {}) ==
        "round 1: waiting for the answers of 1 of 3 peers: hospital-b");
  view.stage = RunStage::kSwapping;
  view.members[0].in_exchange = view.members[2].in_exchange = true;
  CHECK(waiting_text(view, {}) ==
        "swap after round 0: waiting for hospital-a, hospital-c");
  view.stage = RunStage::kStepping;
  CHECK(waiting_text(view, {}).empty());
}

}  // namespace mdgan::test
