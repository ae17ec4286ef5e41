// Members that are set aside: for how long, what they are told, and that
// connecting anew helps nobody.
#include <algorithm>
#include <chrono>
#include <string>

#include "tests/support/catch.h"
#include "tests/support/contains.h"
#include "tests/support/core_server.h"

namespace mdgan::test {
using namespace std::chrono_literals;

namespace {

std::string last_error(const Server& s) {
  std::string text;
  for (const ServerEffect& effect : s.effects)
    if (const auto* send = std::get_if<SendMessage>(&effect))
      if (const auto* error =
              std::get_if<protocol::ErrorReply>(&send->message.body))
        if (error->code == protocol::ErrorCode::kSetAside) text = error->text;
  return text;
}

// Peers 0, 1 and 2, named so, on the connections 1, 2 and 3, in a run with one
// batch. The last of them is the one that tries.
struct Three {
  Three()
      : s([] {
          CoordinatorConfig c = config(3);
          c.k = 1;
          return c;
        }()) {
    for (std::uint64_t i = 1; i <= 3; ++i) join(i, std::to_string(i - 1), i);
  }
  void join(std::uint64_t from, const std::string& name, std::uint64_t nonce) {
    s.hello(from, name, [&](auto& h) {
      h.nonce = nonce;
      h.held = held;
    });
  }
  void round(const std::string& defect) {
    s.answer(1, {0}, 0);
    s.answer(2, {1}, 0);
    s.answer(connection, {2}, 0, defect);
  }
  // It has what it was given, as a peer that connects anew has.
  void come_back(std::uint64_t nonce) {
    s.feed(ConnectionLost{{connection}});
    held = {RunId{}, s.coordinator.position().completed,
            s.coordinator.position().discriminators.at({2})};
    join(++connection, "2", nonce);
    held = {};
  }
  bool is_in() const {
    return s.coordinator.view().members.at(2).presence != Presence::kAbsent;
  }
  void be_set_aside() {
    for (int i = 0; i < 2 * kInvalidAttempts && is_in(); ++i)
      round("not finite");
    REQUIRE_FALSE(is_in());
  }

  Server s;
  std::uint64_t connection = 3;
  protocol::Held held;
};

}  // namespace

TEST_CASE("who is set aside is told for how long, longer each time") {
  Three run;
  run.be_set_aside();
  CHECK(
      contains(last_error(run.s), {"too many of its answers could not be used",
                                   "start it anew", "let in again in 1 min"}));
  run.come_back(7);  // its supervisor has started it at once
  CHECK_FALSE(run.is_in());
  CHECK(contains(last_error(run.s),
                 {"peer 2 was set aside", "let in again in 1 min"}));
  run.s.wait(45s);
  run.come_back(8);
  CHECK_FALSE(run.is_in());
  CHECK(contains(last_error(run.s), {"let in again in 15 s"}));
  run.s.wait(15s);
  run.come_back(9);
  CHECK(run.is_in());

  run.be_set_aside();
  CHECK(contains(last_error(run.s), {"let in again in 2 min"}));
  run.s.wait(119s);
  run.come_back(10);
  CHECK_FALSE(run.is_in());
  run.s.wait(2s);
  run.come_back(11);
  CHECK(run.is_in());

  for (int i = 0; i < 10; ++i) {
    run.be_set_aside();
    run.s.now += 1h;
    run.come_back(static_cast<std::uint64_t>(20 + i));
    CHECK(run.is_in());
  }
}

TEST_CASE("the process that was set aside is not let in later either") {
  Three run;
  run.be_set_aside();
  run.s.wait(2min);
  run.come_back(3);
  CHECK_FALSE(run.is_in());
  CHECK(contains(last_error(run.s), {"look at its data, and start it anew"}));
}

TEST_CASE("the hellos of who is set aside cost an answer a second at most") {
  Three run;
  run.be_set_aside();
  const auto answers = run.s.sent<protocol::ErrorReply>();
  const auto refusals = run.s.count<ReportRefusal>();
  const auto welcomes = run.s.sent<protocol::Welcome>();
  for (std::uint64_t i = 0; i < 1000; ++i) run.join(100 + i, "2", 100 + i);
  CHECK(run.s.sent<protocol::ErrorReply>() == answers + 1);
  CHECK(run.s.count<ReportRefusal>() == refusals + 1);
  run.s.wait(1s);
  run.join(2000, "2", 2000);
  CHECK(run.s.sent<protocol::ErrorReply>() == answers + 2);
  CHECK(run.s.sent<protocol::Welcome>() == welcomes);
}

TEST_CASE("connecting anew starts no count of bad answers anew") {
  Three run;
  const bool another_process = GENERATE(true, false);
  for (std::uint64_t i = 0; i < 10 && run.is_in(); ++i) {
    run.round("not finite");
    run.s.wait(2s);  // a peer may begin anew so often
    if (run.is_in()) run.come_back(another_process ? 10 + i : 3);
  }
  CHECK_FALSE(run.is_in());
  CHECK(run.s.coordinator.position().set_aside.contains({2}));
}

TEST_CASE("who gives useless answers in turn with good ones is set aside") {
  const auto is_in_after = [](int rounds, auto is_bad) {
    Three run;
    for (int i = 0; i < rounds && run.is_in(); ++i)
      run.round(is_bad(i) ? "not finite" : "");
    return run.is_in();
  };
  CHECK_FALSE(is_in_after(10, [](int i) { return i % 5 != 4; }));
  CHECK_FALSE(is_in_after(50, [](int i) { return i % 2 == 0; }));
  // One in five is forgiven.
  CHECK(is_in_after(200, [](int i) { return i % 5 == 0; }));
}

TEST_CASE("useless answers cost twenty lines a minute at most") {
  Three run;
  const auto lines = [&] {
    return std::ranges::count_if(run.s.effects, [](const ServerEffect& e) {
      const auto* note = std::get_if<Note>(&e);
      return note && contains(note->text, {"not used"});
    });
  };
  for (int i = 0; i < 300; ++i) run.round(i % 5 == 0 ? "not finite" : "");
  CHECK(lines() == 20);
  run.s.now += 60s;
  run.round("not finite");
  CHECK(lines() == 21);
  CHECK(std::ranges::any_of(run.s.effects, [](const ServerEffect& e) {
    const auto* note = std::get_if<Note>(&e);
    return note &&
           contains(note->text, {"40 more answers", "could not be used"});
  }));
}

TEST_CASE("fault 12: who answers rounds to come is set aside for the fifth") {
  Three run;
  for (std::uint64_t i = 0; i < kInvalidAttempts; ++i) {
    REQUIRE(run.is_in());
    run.s.answer_to(run.connection,
                    {run.s.coordinator.position().completed.value + 2}, {2}, 0);
    run.s.wait(2s);
    if (run.is_in()) run.come_back(3);
  }
  CHECK_FALSE(run.is_in());
  CHECK(run.s.coordinator.position().set_aside.contains({2}));
  CHECK(contains(last_error(run.s),
                 {"feedback for a round that nobody was asked in, 5 times"}));
}

TEST_CASE("who leaves before its bad answer is looked at is set aside, too") {
  Three run;
  for (std::uint64_t i = 0;
       i < 20 && run.s.coordinator.position().set_aside.empty(); ++i) {
    run.s.answer(run.connection, {2}, 0, "not finite");
    run.s.feed(ConnectionLost{{run.connection}});
    run.s.answer(1, {0}, 0);
    run.s.answer(2, {1}, 0);
    if (!run.s.coordinator.position().set_aside.empty()) break;
    run.come_back(10 + i);
    run.s.answer(1, {0}, 0);  // it is asked in the next round
    run.s.answer(2, {1}, 0);
  }
  CHECK(run.s.coordinator.position().set_aside.size() == 1);
  CHECK(std::ranges::any_of(run.s.effects, [](const ServerEffect& effect) {
    const auto* note = std::get_if<Note>(&effect);
    return note != nullptr && contains(note->text, {"is set aside"});
  }));
  run.come_back(100);
  CHECK_FALSE(run.is_in());
  CHECK(contains(last_error(run.s), {"let in again in 1 min"}));
}

TEST_CASE("connecting anew starts no count of forged chunks anew") {
  Three run;
  for (int i = 0; i < kInvalidAttempts; ++i) {
    REQUIRE(run.is_in());
    run.s.feed(MessageArrived{
        {run.connection},
        {RunId{},
         1,
         {},
         {2},
         protocol::Chunk{{1'000'000}, 0, {{protocol::DType::kUint8, {1000}}}}},
        ""});
    if (run.is_in()) run.come_back(3);
  }
  CHECK_FALSE(run.is_in());
}

// Names cost a stranger nothing where there are no keys.
TEST_CASE("of strangers that are set aside the last ones are remembered") {
  CoordinatorConfig c = config(1);
  Server s(c);
  s.hello(1, "honest");
  s.answer(1, {0}, 0);
  const auto forge = [&](const std::string& name, const PublicKey& key) {
    static std::uint64_t connection = 10;
    s.hello(++connection, name, {}, key);
    const PeerId id = s.coordinator.position().names.at(name);
    for (int i = 0; i < kInvalidAttempts; ++i)
      s.feed(MessageArrived{
          {connection},
          {RunId{},
           1,
           {},
           id,
           protocol::Chunk{
               {1'000'000}, 0, {{protocol::DType::kUint8, {1000}}}}},
          ""});
  };
  forge("listed", PublicKey{std::byte{9}});
  for (int i = 0; i < 100; ++i) forge("stranger-" + std::to_string(i), {});
  const auto& names = s.coordinator.position().names;
  CHECK(names.size() == 2 + 64);
  CHECK(names.contains("listed"));
  CHECK(names.contains("stranger-99"));
  CHECK_FALSE(names.contains("stranger-0"));
  CHECK(s.coordinator.position().set_aside.size() == 1 + 64);
  CHECK(s.coordinator.live_peers() == 1);
}

}  // namespace mdgan::test
