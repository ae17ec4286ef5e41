// A peer's status.json, written, read and told in words.
#include "peer/io/peer_status.h"

#include <nlohmann/json.hpp>

#include "tests/support/catch.h"
#include "tests/support/contains.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/text_file.h"

namespace mdgan::test {

namespace {

constexpr double kPeerNow = 1'800'000'000;

PeerStatus training() {
  PeerStatus status;
  status.pid = 4711;
  status.name = "hospital-a";
  status.images = 12'000;
  status.server = "tcp://h:5555";
  status.connected = true;
  status.since = kPeerNow - 7800;
  status.peer = 3;
  status.round = 12'400;
  status.rounds = 40'000;
  status.answer_seconds = 0.25;
  status.swaps = 7;
  status.sent = {{"feedback", 3 << 20}, {"hello", 310}, {"ping", 0}};
  status.updated = kPeerNow - 1;
  return status;
}

}  // namespace

TEST_CASE("a peer says to whom it is connected, its round, and what left it") {
  const std::string text = peer_status_text(training(), true, kPeerNow);
  CHECK(text.starts_with(
      "trains, round 12,400 of 40,000; connected to tcp://h:5555 for 2 h 10 "
      "min; its last answer took 0.25 s\n"));
  CHECK(contains(text, {"peer hospital-a (number 3): 12,000 images; 7 "
                        "discriminators received",
                        "feedback", "3.0 MiB", "hello", "310 B"}));
  CHECK_FALSE(contains(text, {"ping"}));
  PeerStatus waits = training();
  waits.round = 0;
  waits.live = 3;
  waits.needed = 5;
  CHECK(contains(peer_status_text(waits, true, kPeerNow),
                 {"waits for training to start: 3 of 5 peers"}));
  waits.peer.reset();
  waits.connected = false;
  CHECK(contains(peer_status_text(waits, true, kPeerNow),
                 {"waits to be let in", "no connection to tcp://h:5555 for"}));
}

TEST_CASE("a peer with differential privacy says what is spent") {
  CHECK_FALSE(
      contains(peer_status_text(training(), true, kPeerNow), {"privacy"}));
  const TemporaryDirectory folder;
  PeerStatus status = training();
  status.privacy = PrivacySpent{3.4159, 10, 1e-5, 1200, "the budget is spent"};
  write_text(folder / "status.json", to_json(status));
  const auto read = read_peer_status(folder / "status.json");
  REQUIRE(read);
  REQUIRE(read->privacy);
  CHECK(read->privacy->epsilon == 3.4159);
  CHECK(contains(peer_status_text(*read, true, kPeerNow),
                 {"privacy: epsilon 3.42 of 10 at delta 1e-05 after 1,200 "
                  "steps on its images; the budget is spent\n"}));
  write_text(folder / "status.json", to_json(training()));
  CHECK_FALSE(read_peer_status(folder / "status.json")->privacy);
}

TEST_CASE("a peer that others can meddle with says so in its status") {
  const TemporaryDirectory folder;
  const auto file = folder / "status.json";
  PeerStatus status = training();
  const auto text = [&] {
    write_text(file, to_json(status));
    const auto read = read_peer_status(file);
    REQUIRE(read);
    return peer_status_text(*read, true, kPeerNow);
  };
  CHECK_FALSE(contains(text(), {"INSECURE"}));
  status.insecure = true;
  CHECK(contains(text(), {"\nINSECURE: others can read what is sent\n"}));
}

TEST_CASE("a peer that is gone, hangs or has ended is told as that") {
  CHECK(contains(peer_status_text(training(), false, kPeerNow + 300),
                 {"this peer (process 4711) is gone since 5 min",
                  "start it "
                  "again"}));
  CHECK(contains(peer_status_text(training(), true, kPeerNow + 300),
                 {"that was 5 min 1 s ago: process 4711 hangs"}));
  PeerStatus ended = training();
  ended.exit = PeerStatus::Exit{10, "the server was stopped"};
  CHECK(peer_status_text(ended, false, kPeerNow + 300)
            .starts_with("ended with exit code 10 after round 12,400: the "
                         "server was stopped\n"));
}

TEST_CASE("a peer's status is read as it was written, and trusts no field") {
  const TemporaryDirectory folder;
  const auto file = folder / "status.json";
  PeerStatus status = training();
  status.exit = PeerStatus::Exit{9, "diverged"};
  write_text(file, to_json(status));
  const auto read = read_peer_status(file);
  REQUIRE(read);
  CHECK(to_json(*read) == to_json(status));

  status.server = "tcp://\x1b[2J\xE2\x80\xAE";
  write_text(file, to_json(status));
  const auto hostile = read_peer_status(file);
  REQUIRE(hostile);
  for (const std::string& text :
       {peer_status_text(*hostile, true, kPeerNow), to_json(*hostile, -1)}) {
    CHECK(text.find('\x1b') == text.npos);
    CHECK(text.find("\xE2\x80\xAE") == text.npos);
  }
  write_text(file, R"({"schema": 1, "pid": "x", "sent": [1], "exit": 7,
                       "round": -1, "updated": true})");
  const auto odd = read_peer_status(file);
  REQUIRE(odd);
  CHECK(odd->round == 0);
  CHECK_FALSE(odd->exit);
  for (const char* damaged : {"", "[]", "{\"schema\": 2}"}) {
    write_text(file, damaged);
    CHECK_FALSE(read_peer_status(file));
  }
}

}  // namespace mdgan::test
