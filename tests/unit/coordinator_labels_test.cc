// Batches that have the labels of the peers' shards: which are planned, who
// gets which, and with whom discriminators are swapped.
#include <map>
#include <numeric>
#include <optional>
#include <set>

#include "tests/support/catch.h"
#include "tests/support/core_server.h"

namespace mdgan::test {
namespace {

const ClassNames kThree{"cat", "dog", "fox"};

CoordinatorConfig by_shard(std::uint32_t peers) {
  CoordinatorConfig c = config(peers);
  c.labels = BatchLabels::kShard;
  c.k = peers;
  c.conditional = true;
  c.classes = kThree;
  return c;
}

void hello(Server& s, std::uint64_t connection, const std::string& name,
           const ClassCounts& counts) {
  s.hello(connection, name, [&](protocol::Hello& h) {
    h.image.classes = 3;
    h.classes = kThree;
    h.class_counts = counts;
    const auto images =
        std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
    if (images > 0) h.shard_size = images;
  });
}

std::vector<ClassCounts> last_plan(const Server& s) {
  std::vector<ClassCounts> plan;
  for (const ServerEffect& effect : s.effects)
    if (const auto* g = std::get_if<GenerateBatches>(&effect))
      plan = g->plan.labels;
  return plan;
}

// What the peers were asked in the round that was begun last.
std::map<PeerId, protocol::RoundBegin> asked(const Server& s) {
  std::map<PeerId, protocol::RoundBegin> all;
  for (const ServerEffect& effect : s.effects)
    if (const auto* send = std::get_if<SendMessage>(&effect))
      if (const auto* begin =
              std::get_if<protocol::RoundBegin>(&send->message.body))
        all[send->message.peer] = *begin;
  return all;
}

PeerId last_asked(const Server& s) {
  PeerId peer;
  for (const ServerEffect& effect : s.effects)
    if (const auto* send = std::get_if<SendMessage>(&effect))
      if (std::holds_alternative<protocol::RoundBegin>(send->message.body))
        peer = send->message.peer;
  return peer;
}

bool noted(const Server& s, const std::string& text) {
  return std::ranges::any_of(s.effects, [&](const ServerEffect& effect) {
    const auto* note = std::get_if<Note>(&effect);
    return note != nullptr && note->text.find(text) != std::string::npos;
  });
}

void round_of(Server& s, std::uint32_t peers) {
  const auto begun = asked(s);
  for (std::uint32_t n = 0; n < peers; ++n)
    s.answer(n + 1, PeerId{n}, begun.at(PeerId{n}).generated);
}

TEST_CASE("A peer judges images with the labels of its own shard") {
  Server s(by_shard(3));
  const std::vector<ClassCounts> shards{{70, 0, 0}, {0, 30, 40}, {0, 40, 30}};
  for (std::uint32_t n = 0; n < 3; ++n)
    hello(s, n + 1, "p" + std::to_string(n), shards[n]);
  const auto plan = last_plan(s);
  REQUIRE(plan.size() == 3);
  for (const auto& [peer, begin] : asked(s)) {
    CHECK(plan[begin.generated] == shards[peer.value]);
    CHECK(begin.discriminated == begin.generated);
  }
  round_of(s, 3);
  CHECK(s.coordinator.position().completed == Round{1});
}

TEST_CASE("A peer that does not tell its classes has no part in such a run") {
  Server s(by_shard(1));
  hello(s, 1, "silent", {});
  CHECK(s.sent<protocol::Welcome>() == 0);
  CHECK(s.sent<protocol::ErrorReply>() == 1);
  hello(s, 2, "empty", {0, 0, 0});
  CHECK(s.sent<protocol::Welcome>() == 0);
}

TEST_CASE("With participants the batches are for those that are asked") {
  CoordinatorConfig c = by_shard(3);
  c.participants = 1;
  c.k = 1;
  Server s(c);
  const std::vector<ClassCounts> shards{{70, 0, 0}, {0, 70, 0}, {0, 0, 70}};
  for (std::uint32_t n = 0; n < 3; ++n)
    hello(s, n + 1, "p" + std::to_string(n), shards[n]);
  std::set<ClassCounts> planned;
  for (int i = 0; i < 30; ++i) {
    const auto begun = asked(s);
    const PeerId peer = last_asked(s);
    CHECK(last_plan(s) == std::vector<ClassCounts>{shards[peer.value]});
    planned.insert(shards[peer.value]);
    s.answer(peer.value + 1, peer, begun.at(peer).generated);
  }
  CHECK(planned.size() == 3);
}

TEST_CASE("A class that leaves with its only peer is named, and its return") {
  CoordinatorConfig c = by_shard(2);
  c.quorum = 0.5;
  Server s(c);
  hello(s, 1, "a", {50, 50, 0});
  hello(s, 2, "b", {0, 0, 90});
  CHECK_FALSE(noted(s, "no live peer"));
  round_of(s, 2);
  s.feed(ConnectionLost{{2}});
  s.answer(1, PeerId{0}, asked(s).at(PeerId{0}).generated);
  s.answer(1, PeerId{0}, asked(s).at(PeerId{0}).generated);
  CHECK(noted(s, "no live peer has images of class fox"));
  CHECK(s.coordinator.position().completed.value > 1);
}

TEST_CASE("Swaps with labels of shards are among peers of like classes") {
  CoordinatorConfig c = by_shard(5);
  c.swap_epochs = 0.01;  // each round
  Server s(c);
  const std::vector<ClassCounts> shards{
      {90, 0, 0}, {0, 80, 10}, {80, 5, 0}, {0, 85, 5}, {0, 0, 70}};
  for (std::uint32_t n = 0; n < 5; ++n)
    hello(s, n + 1, "p" + std::to_string(n), shards[n]);
  round_of(s, 5);
  std::map<PeerId, PeerId> edges;
  for (const ServerEffect& effect : s.effects)
    if (const auto* send = std::get_if<SendMessage>(&effect))
      if (const auto* swap = std::get_if<protocol::Swap>(&send->message.body);
          swap != nullptr && swap->sends)
        edges[send->message.peer] = swap->target;
  CHECK(edges == std::map<PeerId, PeerId>{
                     {{0}, {2}}, {{2}, {0}}, {{1}, {3}}, {{3}, {1}}});
}

TEST_CASE("A late joiner gets a copy from a peer with like classes, or none") {
  CoordinatorConfig c = by_shard(3);
  Server s(c);
  const std::vector<ClassCounts> shards{{70, 0, 0}, {0, 70, 0}, {0, 60, 10}};
  for (std::uint32_t n = 0; n < 3; ++n)
    hello(s, n + 1, std::to_string(n), shards[n]);
  round_of(s, 3);
  const auto donor_of = [&](std::uint64_t connection, const std::string& name,
                            const ClassCounts& counts) {
    s.effects.clear();
    hello(s, connection, name, counts);
    std::optional<PeerId> donor;
    for (const ServerEffect& effect : s.effects)
      if (const auto* send = std::get_if<SendMessage>(&effect))
        if (const auto* swap = std::get_if<protocol::Swap>(&send->message.body);
            swap != nullptr && swap->receives)
          donor = swap->source;
    return donor;
  };
  CHECK(donor_of(4, "cats", {50, 1, 0}) == PeerId{0});
  CHECK(donor_of(5, "more cats", {50, 1, 0}) == PeerId{0});
  CHECK(donor_of(6, "dogs", {0, 55, 5}).value_or(PeerId{0}) != PeerId{0});
  // Of foxes nobody has a discriminator.
  CHECK_FALSE(donor_of(7, "foxes", {0, 0, 50}));
  CHECK(noted(s, "starts with a fresh discriminator"));
}

}  // namespace
}  // namespace mdgan::test
