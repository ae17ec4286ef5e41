// Those who say hello more often than any peer needs to.
#include <algorithm>

#include "server/core/coordinator.h"
#include "tests/support/catch.h"
#include "tests/support/core_server.h"

namespace mdgan::test {

using namespace std::chrono_literals;

TEST_CASE("fault 30: who comes and goes at will does not fill the log") {
  Server s(config(1));
  s.hello(1, "a");
  for (std::uint64_t i = 0; i < 5000; ++i) {
    s.hello(2 + i, "stranger-" + std::to_string(i));
    s.feed(ConnectionLost{{2 + i}});
  }
  CHECK(s.count<Note>() < 100);
  s.wait(60s);
  s.hello(9999, "another");
  CHECK(std::ranges::any_of(s.effects, [](const ServerEffect& e) {
    const auto* note = std::get_if<Note>(&e);
    return note &&
           note->text.find("more lines on who came") != std::string::npos;
  }));
}

TEST_CASE(
    "a connection brings so many new names at a time while a run trains") {
  Server s(config(1));
  s.hello(1, "a");
  s.answer(1, {0}, 0);
  for (std::uint64_t i = 0; i < 13000; ++i)
    s.hello(2, "stranger-" + std::to_string(i));
  CHECK(s.sent<protocol::Welcome>() == 1 + 64);
  CHECK(s.coordinator.view().members.size() == 65);
  s.hello(3, "b");  // of another
  CHECK(s.sent<protocol::Welcome>() == 1 + 65);
}

TEST_CASE("a key brings so many new names at a time, however it connects") {
  const auto joined = [](const PublicKey& key) {
    Server s(config(1));
    s.hello(1, "a");
    s.answer(1, {0}, 0);
    for (std::uint64_t i = 0; i < 300; ++i)
      s.hello(2 + i, "eve-" + std::to_string(i), {}, key);
    return s.sent<protocol::Welcome>() - 1;
  };
  CHECK(joined({std::byte{7}}) == 64);
  CHECK(joined({}) == 300);  // nobody knows that they are one
}

TEST_CASE("hellos beyond what any process needs are not handled") {
  Server s(config(1));
  const PublicKey eve{std::byte{7}};
  s.hello(1, "a");
  s.answer(1, {0}, 0);
  // The same again each time: a welcome, no more.
  const auto flood = [&](std::uint64_t connection, const PublicKey& key,
                         int times) {
    const std::size_t before = s.sent<protocol::Welcome>();
    for (int i = 0; i < times; ++i)
      s.hello(connection, "eve" + std::to_string(connection), {}, key);
    return s.sent<protocol::Welcome>() - before;
  };
  CHECK(flood(2, eve, 3000) == 1024);
  CHECK(flood(3, eve, 3000) == 0);    // by another connection
  CHECK(flood(4, {}, 10) == 10);      // others are heard
  CHECK(flood(5, {}, 3000) == 1024);  // without keys each connection counts
  s.now += 2s;
  CHECK(flood(2, eve, 3000) == 2 * 32);
}

TEST_CASE("a peer begins anew so often, and no more") {
  Server s(config(1));
  s.hello(1, "a");
  s.answer(1, {0}, 0);
  std::uint64_t said = 0;
  const auto begin_anew = [&](int times) {
    const std::size_t before = s.sent<protocol::Welcome>();
    for (int i = 0; i < times; ++i)
      s.hello(2, "eve", [&](protocol::Hello& h) { h.held.round = {++said}; });
    return s.sent<protocol::Welcome>() - before;
  };
  CHECK(begin_anew(500) == 9);  // it joins, and eight
  CHECK(s.count<Note>() < 100);
  s.now += 4s;
  CHECK(begin_anew(500) == 2);
  // Nor by ever new connections. (It is welcomed twice each time: as there is
  // nobody to copy from, it starts afresh.)
  const std::size_t before = s.sent<protocol::Welcome>();
  for (std::uint64_t i = 0; i < 100; ++i) {
    s.feed(ConnectionLost{{1 + i}});
    s.hello(2 + i, "a");
  }
  CHECK(s.sent<protocol::Welcome>() - before == 2 * 8);
}

TEST_CASE("a crowd that joins while training runs costs no look at itself",
          "[crowd]") {
  // What looked at all members for each would not end within the test's time.
  constexpr std::uint32_t kCrowd = 30'000;
  CoordinatorConfig c = config(kCrowd);
  c.algorithm = Algorithm::kDataParallel;
  c.k = 1;
  Server s(c);
  const auto can = [](protocol::Hello& hello) {
    hello.abilities = {"data-parallel"};
  };
  for (std::uint32_t i = 0; i < 2 * kCrowd; ++i)
    s.hello(1 + i, std::to_string(i), can);
  CHECK(s.sent<protocol::RoundBegin>() == kCrowd);
  CHECK(s.coordinator.live_peers() == 2 * kCrowd);
}

}  // namespace mdgan::test
