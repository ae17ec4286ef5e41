// Single situations of evaluations by the peers.
#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include "protocol/tensor_codecs.h"
#include "tests/support/catch.h"
#include "tests/support/core_server.h"

namespace mdgan::test {
using namespace std::chrono_literals;

namespace {

const std::array<std::byte, 32> kNone{};

// Peers 0, 1, ... on connections 1, 2, ..., of which the first `able` have
// images to measure with; the last round is the 8th, every 4th is measured.
struct Sites {
  explicit Sites(std::uint32_t peers, std::uint32_t able)
      : s([&] {
          CoordinatorConfig c = config(peers);
          c.rounds = 8;
          c.evaluate_every = 4;
          c.round_timeout = 1000s;  // who is slow here is slow at measuring
          return c;
        }()),
        count(peers) {
    for (std::uint32_t i = 0; i < peers; ++i) join(i, i < able);
  }
  void join(std::uint32_t i, bool measures) {
    s.hello(i + 1, std::to_string(i), [&](auto& h) {
      h.index = i;
      if (measures) h.abilities = {std::string(protocol::kEvaluation)};
    });
  }
  void rounds(std::uint64_t number) {
    for (; number > 0; --number)
      for (std::uint32_t i = 0; i < count; ++i)
        s.answer(i + 1, {i}, i % default_k(count));
  }
  void features(std::uint64_t round, bool ok = true) {
    s.feed(FeaturesReady{{round}, ok, kNone});
  }
  void measured(std::uint32_t peer, std::uint64_t round,
                const std::string& reason = "",
                const std::string& defect = "") {
    protocol::Evaluated evaluated;
    evaluated.images = 100;
    evaluated.reason = reason;
    s.feed(MessageArrived{
        {peer + 1}, {RunId{}, 1, {round}, {peer}, evaluated}, defect});
  }
  // To whom features were sent.
  std::vector<std::uint32_t> asked() const {
    std::vector<std::uint32_t> all;
    for (const ServerEffect& e : s.effects)
      if (const auto* sent = std::get_if<SendFeatures>(&e))
        all.push_back(sent->message.peer.value);
    return all;
  }

  Server s;
  std::uint32_t count;
};

}  // namespace

TEST_CASE("peers with images are asked, and what they measured is merged") {
  Sites t(3, 2);
  t.rounds(4);
  CHECK(t.s.count<MakeFeatures>() == 1);
  t.features(4);
  CHECK(t.asked() == std::vector<std::uint32_t>{0, 1});
  t.measured(1, 4);
  CHECK(t.s.count<MergeEvaluations>() == 0);
  t.measured(0, 4);
  CHECK(t.s.count<KeepEvaluated>() == 2);
  CHECK(t.s.count<MergeEvaluations>() == 1);
  t.measured(0, 4);  // once more
  t.measured(2, 4);  // was not asked
  CHECK(t.s.count<KeepEvaluated>() == 2);
  CHECK(t.s.coordinator.counters().unexpected == 2);
}

TEST_CASE("a peer that is lost, slow or unable is not waited for") {
  Sites t(3, 3);
  t.rounds(4);
  t.features(4);
  t.measured(0, 4);
  SECTION("lost") {
    t.s.feed(ConnectionLost{{2}});
    t.s.feed(ConnectionLost{{3}});
  }
  SECTION("unable") {
    t.measured(1, 4, "other images");
    t.measured(2, 4, "", "not finite");
  }
  SECTION("slow") {
    t.s.wait(299s);
    CHECK(t.s.count<MergeEvaluations>() == 0);
    t.s.wait(2s);
  }
  CHECK(t.s.count<KeepEvaluated>() == 1);
  CHECK(t.s.count<MergeEvaluations>() == 1);
}

TEST_CASE("the run's end waits for the last evaluation, and a stop does not") {
  Sites t(2, 2);
  t.rounds(8);
  REQUIRE(t.s.finish() != nullptr);
  CHECK(t.s.coordinator.open_evaluations() == 2);
  t.features(4);
  t.features(8);
  CHECK(t.asked().size() == 4);
  SECTION("until all have measured") {
    t.measured(0, 4);
    t.measured(1, 4);
    t.measured(0, 8);
    CHECK(t.s.coordinator.open_evaluations() == 1);
    t.measured(1, 8);
    CHECK(t.s.count<MergeEvaluations>() == 2);
  }
  SECTION("or are gone") {
    t.s.feed(ConnectionLost{{1}});
    t.s.feed(ConnectionLost{{2}});
    CHECK(t.s.count<MergeEvaluations>() == 2);
  }
  SECTION("or their time is over") {
    t.s.wait(301s);
    CHECK(t.s.count<MergeEvaluations>() == 2);
  }
  SECTION("or it is stopped") {
    t.s.feed(StopRequested{});
    CHECK(t.s.count<MergeEvaluations>() == 0);
  }
  CHECK(t.s.coordinator.open_evaluations() == 0);
}

TEST_CASE("features that cannot be made end their evaluation alone") {
  Sites t(2, 2);
  t.rounds(8);
  t.features(4, false);
  CHECK(t.s.coordinator.open_evaluations() == 1);
  t.features(8, false);
  CHECK(t.s.coordinator.open_evaluations() == 0);
  CHECK(t.asked().empty());
}

TEST_CASE("evaluations do not pile up, and the last one is made") {
  CoordinatorConfig c = config(1);
  c.evaluate_every = 1;
  c.rounds = 11;
  Server s(c);
  s.hello(1, "0",
          [](auto& h) { h.abilities = {std::string(protocol::kEvaluation)}; });
  const auto rounds = [&](int number) {
    for (; number > 0; --number) s.answer(1, {0}, 0);
  };
  const auto told = [&](const char* what) {
    return std::ranges::count_if(s.effects, [&](const ServerEffect& e) {
      const auto* note = std::get_if<Note>(&e);
      return note && note->text.find(what) != std::string::npos;
    });
  };
  SECTION("where images are drawn too slowly") {
    rounds(10);
    CHECK(s.count<MakeFeatures>() == SiteEvaluations::kAtOnce);
    CHECK(told("is not measured") == 1);
    rounds(1);
    CHECK(s.count<MakeFeatures>() == SiteEvaluations::kAtOnce + 1);
    REQUIRE(s.finish() != nullptr);
  }
  SECTION("where a peer never answers") {
    for (std::uint64_t round = 1; round <= 11; ++round) {
      rounds(1);
      s.feed(FeaturesReady{{round}, true, kNone});
    }
    CHECK(s.count<MakeFeatures>() == 11);
    CHECK(s.count<MergeEvaluations>() == 11 - SiteEvaluations::kAtOnce);
    CHECK(told("was not measured before newer ones were begun by 0") ==
          11 - SiteEvaluations::kAtOnce);
    s.wait(301s);
    CHECK(told("within quorum-timeout by 0") == SiteEvaluations::kAtOnce);
  }
}

TEST_CASE("who says hello while the run's end waits is told the end") {
  Sites t(2, 1);
  t.rounds(8);
  t.features(8);
  t.s.feed(ConnectionLost{{2}});
  const auto before = t.s.sent<protocol::Goodbye>();
  t.s.hello(7, "1");
  t.s.hello(7, "1");
  t.s.hello(8, "a stranger");
  CHECK(t.s.sent<protocol::Goodbye>() == before + 1);
}

TEST_CASE("where nobody has images held out, the log says so") {
  Sites t(2, 0);
  t.rounds(4);
  t.features(4);
  CHECK(t.s.count<MergeEvaluations>() == 1);
  bool told = false;
  for (const ServerEffect& e : t.s.effects)
    if (const auto* note = std::get_if<Note>(&e))
      told = told || note->text.find("--evaluate-data") != std::string::npos;
  CHECK(told);
}

}  // namespace mdgan::test
