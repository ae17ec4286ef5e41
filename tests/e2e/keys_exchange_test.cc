// Keys with real processes: invitations, and exchanges of discriminators.
#include <signal.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "tests/support/keyed_run.h"

namespace mdgan::test {

namespace fs = std::filesystem;

TEST_CASE("local peers and others swap with keys") {
  KeyedRun t;
  // It has 400 images, and counts as one with 150.
  std::string line = t.line_of("a");
  line.insert(line.find_last_not_of('\n') + 1, " images=150");
  t.let_in(line);
  auto server =
      t.keyed_server(3, {"--local-peers", "2", "--data", t.file("data")});
  auto peer = t.keyed_peer("a", 0, 1);
  REQUIRE(eventually([&] { return t.peers("run") == 3; }));
  CHECK(eventually([&] { return t.server_says(" among 3 "); }));
  CHECK(t.server_says("(a) joined: 150 images"));
  INFO(t.log("run"));
  CHECK_FALSE(t.server_says("aborted"));
  server.signal(SIGINT);
  CHECK(server.wait() == 0);
  CHECK(peer.wait() == 0);
}

TEST_CASE("a peer exchanges with those of its --known-peers alone") {
  KeyedRun t;
  const std::string a = t.line_of("a");
  const std::string b = t.line_of("b");
  t.let_in(a + b + t.line_of("c"));
  write_text(t / "known", b);
  auto server = t.keyed_server(3);
  auto pinned = t.keyed_peer("a", 0, 3, {"--known-peers", t.file("known")});
  auto second = t.keyed_peer("b", 1, 3);
  auto third = t.keyed_peer("c", 2, 3);
  // In a swap among three each is the neighbour of both others.
  REQUIRE(eventually([&] { return t.server_says(" aborted, "); }));
  CHECK(t.server_says("peer a: no exchange with peer "));
  CHECK(t.server_says("is not in " + t.file("known")));
  CHECK(
      eventually([&] { return says(pinned, "is not in " + t.file("known")); }));
  CHECK(advances(t));
  CHECK(t.peers("run") == 3);
  CHECK_FALSE(t.server_says(" among 3 "));  // no swap was committed
  server.signal(SIGINT);
  CHECK(server.wait() == 0);

  const auto refused = [&](const std::string& words) {
    auto peer =
        t.tool(Words{MDGAN_PEER} + t.keys_of("a") +
                   Words{"--server", "tcp://127.0.0.1:1", "--data",
                         t.file("data"), "--known-peers", t.file("known")},
               "refused");
    CHECK(peer.wait() == 4);
    CHECK(says(peer, words));
  };
  write_text(t / "known", b + "nonsense\n");
  refused("known:2: ");
  write_text(t / "known", b);
  REQUIRE(::chmod(t.file("known").c_str(), 0666) == 0);
  refused("others can write to it");
  fs::remove(t / "known");
  refused(t.file("known"));
}

TEST_CASE("a peer is invited, joins, is admitted and trains") {
  KeyedRun t;
  t.let_in(t.line_of("a"));
  auto server = t.keyed_server(2);
  auto first = t.keyed_peer("a", 0, 2);
  auto invite = t.tool({MDGAN_SERVER, "invite", "b", "--key",
                        t.file("server.key"), "--address", t.endpoint("run")},
                       "invite");
  REQUIRE(invite.wait() == 0);
  const std::string output = invite.output();
  const auto begin = output.find("tcp://");
  REQUIRE(begin != output.npos);
  const std::string line =
      output.substr(begin, output.find('\n', begin) - begin);
  REQUIRE(eventually([&] {
    auto join =
        t.tool({MDGAN_PEER, "join", line, "--key", t.file("b.key")}, "join");
    return join.wait() == 0;
  }));
  const std::string print = fingerprint(read_key_pair(t / "b.key")->public_key);
  REQUIRE(eventually([&] { return t.server_says(print); }));
  CHECK(t.server_says("mdgan-server admit b --key " + t.file("server.key")));
  auto early = t.keyed_peer("b", 1, 2);
  CHECK(early.wait() == 4);  // nobody has admitted it

  auto admit = t.tool(
      {MDGAN_SERVER, "admit", "b", "--key", t.file("server.key")}, "admit");
  CHECK(admit.wait() == 0);
  CHECK(says(admit, print));
  REQUIRE(eventually([&] { return t.server_says("2 peers are let in"); }));
  auto second = t.keyed_peer("b", 1, 2);
  REQUIRE(eventually([&] { return t.round("run") > 5; }));
  server.signal(SIGINT);
  CHECK(server.wait() == 0);
  CHECK(second.wait() == 0);
  CHECK(says(second, "bytes that left this process: feedback "));

  auto nonsense = t.tool({MDGAN_PEER, "join", "nonsense"}, "nonsense");
  CHECK(nonsense.wait() == 4);
  CHECK(says(nonsense, "mdgan-server invite"));
}

TEST_CASE("A peer that nobody can connect to swaps by relay, with keys") {
  KeyedRun t;
  t.let_in(t.line_of("a") + t.line_of("b") + t.line_of("c"));
  auto server = t.keyed_server(3);
  auto first = t.keyed_peer("a", 0, 3);
  auto second = t.keyed_peer("b", 1, 3);
  auto hidden = t.keyed_peer("c", 2, 3, {"--no-listen"});
  REQUIRE(eventually([&] { return t.server_says(" by relay"); }));
  CHECK(advances(t));
  CHECK(eventually([&] {
    const std::string said = hidden.output();
    return said.find(" discriminators received") != said.npos &&
           said.find(" 0 discriminators received") == said.npos;
  }));
  INFO(t.log("run"));
  CHECK_FALSE(t.server_says("aborted"));
  server.signal(SIGINT);
  CHECK(server.wait() == 0);
  CHECK(first.wait() == 0);
  CHECK(second.wait() == 0);
  CHECK(hidden.wait() == 0);
}

TEST_CASE(
    "fault 43: an address at which nobody listens costs a swap, then "
    "discriminators go by relay") {
  KeyedRun t;
  t.let_in(t.line_of("a") + t.line_of("b"));
  auto server = t.keyed_server(2, {"--swap-timeout", "3"});
  auto first = t.keyed_peer("a", 0, 2);
  auto second = t.keyed_peer("b", 1, 2, {"--advertise", "tcp://127.0.0.1:1"});
  REQUIRE(eventually([&] { return t.server_says(" 1 by relay"); }));
  CHECK(t.server_says(
      "what peer a sends to peer b at tcp://127.0.0.1:1 had not come through; "
      "from now on it goes by relay"));
  const auto before = t.round("run");
  CHECK(eventually([&] { return t.round("run") > before + 50; }));
  const std::string log = t.log("run");
  CHECK(log.find("aborted") == log.rfind("aborted"));  // the one
  server.signal(SIGINT);
  CHECK(server.wait() == 0);
  CHECK(first.wait() == 0);
  CHECK(second.wait() == 0);
}

}  // namespace mdgan::test
