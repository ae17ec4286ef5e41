// Single situations of saving, stopping and giving up.
#include <algorithm>

#include "tests/support/catch.h"
#include "tests/support/core_server.h"

namespace mdgan::test {

using namespace std::chrono_literals;

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

TEST_CASE("fault 34: a stop waits seconds for hung peers, then steps or not") {
  const bool has_quorum = GENERATE(true, false);
  CoordinatorConfig c = config(2);
  c.quorum = has_quorum ? 0.5 : 1;
  Server s(c);
  s.hello(1, "a");
  s.hello(2, "b");
  s.answer(1, {0}, 0);
  const auto saved = s.count<SaveCheckpoint>();
  s.feed(StopRequested{ExitCode::kStopped});
  s.feed(StopRequested{});  // the first decides
  CHECK(s.finish() == nullptr);
  s.wait(5s);
  REQUIRE(s.finish() != nullptr);
  CHECK(s.finish()->code == ExitCode::kStopped);
  CHECK(s.count<SaveCheckpoint>() == saved + 1);
  CHECK(s.coordinator.position().completed.value == (has_quorum ? 1 : 0));
}

TEST_CASE("fault 34: a stop while batches are made waits seconds, too") {
  Server s(config(2));
  s.stalled = true;
  s.hello(1, "a");
  s.hello(2, "b");
  s.feed(StopRequested{ExitCode::kStopped});
  s.feed(BatchesReady{{1}});
  CHECK(s.finish() == nullptr);
  s.wait(5s);
  REQUIRE(s.finish() != nullptr);
  CHECK(s.finish()->code == ExitCode::kStopped);
}

TEST_CASE("peers hear of the server while its last checkpoint is written") {
  CoordinatorConfig c = config(1);
  c.rounds = 1;
  Server s(c);
  s.hello(1, "a");
  s.answer(1, {0}, 0);
  REQUIRE(s.coordinator.stage() == RunStage::kFinished);
  const auto progress = s.sent<protocol::Progress>();
  for (int i = 0; i < 10; ++i) {
    const auto due = s.coordinator.next_deadline();
    REQUIRE(due);
    s.wait(*due - s.now);
  }
  CHECK(s.sent<protocol::Progress>() >= progress + 9);
}

TEST_CASE("a peer that fails in the first round is not all that there are") {
  Server s(config(2));
  s.hello(1, "a");
  s.hello(2, "b");
  s.feed(
      MessageArrived{{1},
                     {RunId{},
                      1,
                      {},
                      {0},
                      protocol::Goodbye{protocol::Reason::kFailed, "diverged"}},
                     ""});
  s.feed(ConnectionLost{{2}});
  CHECK(s.coordinator.stage() == RunStage::kWaiting);  // for b
}

TEST_CASE("a stranger alone that fails does not end a run that waits") {
  Server s(config(1));
  s.hello(1, "stranger");
  s.feed(MessageArrived{{1},
                        {RunId{},
                         1,
                         {},
                         {0},
                         protocol::Goodbye{protocol::Reason::kFailed, "a lie"}},
                        ""});
  CHECK(s.coordinator.stage() == RunStage::kWaiting);
}

TEST_CASE("fault 34: a swap does not delay a stop for longer than seconds") {
  CoordinatorConfig c = config(2);
  c.swap_epochs = 0.01;  // a swap every round
  Server s(c);
  s.hello(1, "a");
  s.hello(2, "b");
  s.answer(1, {0}, 0);
  s.answer(2, {1}, 1);
  REQUIRE(s.coordinator.stage() == RunStage::kSwapping);
  s.feed(StopRequested{});
  s.wait(5s);
  CHECK(s.finish() != nullptr);
}

TEST_CASE("fault 32: a checkpoint is saved before the first round") {
  Server s(config(1));
  CHECK(s.count<SaveCheckpoint>() == 0);
  s.hello(1, "a");
  REQUIRE(s.count<SaveCheckpoint>() == 1);
  const auto at = [&](auto holds) {
    return std::ranges::find_if(s.effects, holds) - s.effects.begin();
  };
  CHECK(at([](const ServerEffect& e) {
          return std::holds_alternative<SaveCheckpoint>(e);
        }) < at([](const ServerEffect& e) {
          return std::holds_alternative<GenerateBatches>(e);
        }));
  CHECK(s.sent<protocol::Checkpoint>() == 0);  // peers have learnt nothing
}

TEST_CASE("fault 36: a checkpoint that failed is tried again within a minute") {
  Server s(config(1));
  s.hello(1, "a");
  s.feed(CheckpointSaved{{0}, false});
  const auto saved = s.count<SaveCheckpoint>();
  s.answer(1, {0}, 0);
  CHECK(s.count<SaveCheckpoint>() == saved);  // not at once: it is still full
  s.wait(59s);
  s.answer(1, {0}, 0);
  CHECK(s.count<SaveCheckpoint>() == saved + 1);
  CHECK(s.sent<protocol::Checkpoint>() == 1);
  s.wait(59s);
  s.answer(1, {0}, 0);
  CHECK(s.count<SaveCheckpoint>() == saved + 1);
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

TEST_CASE(
    "fault 49: nothing but answers that are not finite ends the run with 9") {
  Server s(config(1));
  s.hello(1, "a");
  for (int i = 0; i < 10 && !s.finish(); ++i) s.answer(1, {0}, 0, "not finite");
  REQUIRE(s.finish() != nullptr);
  CHECK(s.finish()->code == ExitCode::kDiverged);
  CHECK(s.finish()->text.find(": a.") != std::string::npos);
  CHECK(s.count<StepGenerator>() == 0);
}

TEST_CASE("fault 49: a generator that diverges ends the run with 9") {
  Server s(config(2));
  s.slow_steps = true;
  s.hello(1, "a");
  s.hello(2, "b");
  s.answer(1, {0}, 0);
  s.answer(2, {1}, 1);
  const auto saved = s.count<SaveCheckpoint>();
  s.feed(GeneratorFailed{{"the step diverged", ExitCode::kDiverged}});
  REQUIRE(s.finish() != nullptr);
  CHECK(s.finish()->code == ExitCode::kDiverged);
  CHECK(s.finish()->text == "the step diverged");
  CHECK(s.sent<protocol::Goodbye>() == 2);
  CHECK(s.count<SaveCheckpoint>() == saved);  // what is on the disk is sound
  CHECK(s.coordinator.position().completed == Round{0});
}

TEST_CASE("fault 3: a resumed run that lacks a peer begins with the quorum") {
  RunPosition position;
  position.completed = {20};
  position.names = {{"a", {0}}, {"b", {1}}, {"c", {2}}};
  position.discriminators = {{{0}, {7}}, {{1}, {8}}, {{2}, {9}}};
  Server s(config(3), position);
  s.feed(Started{});
  const auto back = [&](std::uint64_t connection, const std::string& name,
                        std::uint64_t own) {
    s.hello(connection, name, [&](auto& h) {
      h.saved = {{RunId{}, {20}, {own}}};
    });
  };
  back(1, "a", 7);
  back(2, "b", 8);
  CHECK(s.count<GenerateBatches>() == 0);
  s.wait(59s);
  CHECK(s.count<GenerateBatches>() == 0);
  s.wait(1s);
  CHECK(s.count<GenerateBatches>() == 1);
}

TEST_CASE("fault 3: a run killed in its first rounds begins with the quorum") {
  RunPosition position;  // of the checkpoint before the first round
  position.names = {{"a", {0}}, {"b", {1}}, {"c", {2}}};
  Server s(config(3), position);
  s.feed(Started{});
  CHECK(std::ranges::any_of(s.effects, [](const ServerEffect& e) {
    const auto* note = std::get_if<Note>(&e);
    return note && note->text ==
                       "waits up to 1 min for 3 peers of the run; then 2 will "
                       "do";
  }));
  s.hello(1, "a");
  s.hello(2, "b");
  s.wait(59s);
  CHECK(s.count<GenerateBatches>() == 0);
  s.wait(1s);
  CHECK(s.count<GenerateBatches>() == 1);
  // A new run waits for all.
  Server fresh(config(3));
  fresh.feed(Started{});
  fresh.hello(1, "a");
  fresh.hello(2, "b");
  fresh.wait(1h);
  CHECK(fresh.count<GenerateBatches>() == 0);
}

TEST_CASE("a step that does not end is told of") {
  Server s(config(1));
  s.stalled = true;
  s.hello(1, "a");
  const auto told = [&] {
    return std::ranges::count_if(s.effects, [](const ServerEffect& e) {
      const auto* note = std::get_if<Note>(&e);
      return note && note->text.find("round-timeout: is this machine") !=
                         std::string::npos;
    });
  };
  s.wait(59s);
  CHECK(told() == 0);
  s.wait(1s);
  CHECK(told() == 1);
  s.wait(60s);
  CHECK(told() == 2);
}

TEST_CASE("fault 34: a stop does not wait for the round's deadline") {
  CoordinatorConfig c = config(2);
  c.quorum = 1;
  Server s(c);
  s.hello(1, "a");
  s.hello(2, "b");
  s.answer(1, {0}, 0);
  s.feed(StopRequested{});
  s.wait(3s);
  REQUIRE(s.finish() != nullptr);
  // Below the quorum the open round is not stepped.
  CHECK(s.count<StepGenerator>() == 0);
  CHECK(s.count<SaveCheckpoint>() == 2);  // before the first round, and now
}

TEST_CASE(
    "fault 37: a disk that hangs gets no further checkpoint, and training "
    "goes on") {
  CoordinatorConfig c = config(1);
  c.checkpoint_every = 10;
  Server s(c);
  s.hello(1, "a");
  CHECK(s.count<SaveCheckpoint>() == 1);  // before the first round
  const auto rounds = [&](int n) {
    for (int i = 0; i < n; ++i) s.answer(1, {0}, 0);
  };
  s.hung_disk = true;
  rounds(10);
  CHECK(s.count<SaveCheckpoint>() == 2);
  s.now += 2s;
  rounds(10);
  CHECK(s.count<SaveCheckpoint>() == 2);
  CHECK(s.coordinator.position().completed == Round{20});
  s.feed(CheckpointSaved{{10}, true});
  rounds(1);
  CHECK(s.count<SaveCheckpoint>() == 3);  // the one that was left out
}

TEST_CASE("peers are told which checkpoint of theirs is still needed") {
  CoordinatorConfig c = config(1);
  c.checkpoint_every = 1;
  Server s(c);
  s.hello(1, "a");
  s.hung_disk = true;
  const auto kept = [&] {
    Round last;
    for (const ServerEffect& e : s.effects)
      if (const auto* send = std::get_if<SendMessage>(&e))
        if (const auto* checkpoint =
                std::get_if<protocol::Checkpoint>(&send->message.body))
          last = checkpoint->keep;
    return last;
  };
  s.answer(1, {0}, 0);
  s.feed(CheckpointSaved{{1}, true});
  s.answer(1, {0}, 0);
  CHECK(kept() == Round{1});
  s.feed(CheckpointSaved{{2}, false});
  s.wait(31s);
  s.answer(1, {0}, 0);
  CHECK(kept() == Round{1});
}

}  // namespace mdgan::test
