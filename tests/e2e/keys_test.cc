// Keys with real processes: who is let in, who is not, and what both are told.
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string>

#include "tests/support/keyed_run.h"
#include "tests/support/link.h"

namespace mdgan::test {

namespace fs = std::filesystem;

namespace {

protocol::Message hello_of(const std::string& name) {
  protocol::Hello hello;
  hello.name = name;
  hello.shard_size = 1000;
  hello.image = {1, 8, 8, 10};
  hello.endpoint = "tcp://127.0.0.1:1";
  protocol::Message message;
  message.body = hello;
  return message;
}

// Says hello and waits for what comes; the bytes that did.
std::uint64_t bytes_for(const KeyedRun& t, const std::string& name,
                        const std::optional<ClientKeys>& keys) {
  zmq::context_t context;
  zmq::socket_t socket = make_dealer(context, false);
  socket.set(zmq::sockopt::reconnect_ivl, 100);
  if (keys) use_keys(socket, *keys);
  REQUIRE(connect(socket, t.endpoint("run")).ok());
  (void)send(socket, "", hello_of(name));
  std::uint64_t bytes = 0;
  REQUIRE(advances(t));  // rounds in which a member would get batches
  zmq::message_t frame;
  while (socket.recv(frame, zmq::recv_flags::dontwait)) bytes += frame.size();
  return bytes;
}

// Whether the listener of the peer with the key `its` lets in a client.
bool lets_in(const std::string& listener, const PublicKey& its,
             ClientKeys client) {
  client.server = its;
  zmq::context_t context;
  zmq::socket_t socket = make_dealer(context, false);
  use_keys(socket, client);
  zmq::socket_t events(context, zmq::socket_type::pair);
  REQUIRE(zmq_socket_monitor(socket.handle(), "inproc://e",
                             ZMQ_EVENT_HANDSHAKE_SUCCEEDED |
                                 ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                                 ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) == 0);
  events.connect("inproc://e");
  REQUIRE(connect(socket, listener).ok());
  zmq::message_t event;
  events.set(zmq::sockopt::rcvtimeo, 60'000);
  REQUIRE(events.recv(event));
  std::uint16_t kind = 0;
  std::memcpy(&kind, event.data<char>(), sizeof kind);
  (void)zmq_socket_monitor(socket.handle(), nullptr, 0);
  return kind == ZMQ_EVENT_HANDSHAKE_SUCCEEDED;
}

// Established TCP connections to a port of this machine.
int connections_to(const std::string& endpoint) {
  const int port = std::stoi(endpoint.substr(endpoint.rfind(':') + 1));
  std::istringstream table(read_text("/proc/net/tcp"));
  std::string line;
  std::getline(table, line);
  int count = 0;
  while (std::getline(table, line)) {
    std::istringstream words(line);
    std::string number;
    std::string local;
    std::string remote;
    std::string state;
    words >> number >> local >> remote >> state;
    if (state == "01" &&
        std::stoi(local.substr(local.rfind(':') + 1), nullptr, 16) == port)
      ++count;
  }
  return count;
}

}  // namespace

TEST_CASE("fault 28: only listed keys take part, and a revoked one leaves") {
  KeyedRun t;
  const std::string a = t.line_of("a");
  const std::string b = t.line_of("b");
  const std::string c = t.line_of("c");
  t.let_in(a + b);
  auto server = t.keyed_server(2);
  auto first = t.keyed_peer("a", 0, 3);
  auto second = t.keyed_peer("b", 1, 3);
  REQUIRE(eventually([&] { return t.server_says(" among "); }));  // a swap
  CHECK(advances(t));

  auto stranger = t.keyed_peer("c", 2, 3);
  CHECK(stranger.wait() == 4);
  CHECK(says(stranger, "authorized_peers"));
  CHECK(says(stranger, c.substr(0, 40)));
  CHECK(eventually([&] { return t.server_says(c.substr(0, 40)); }));
  CHECK(t.server_says("is not let in"));
  CHECK(advances(t));

  // Who is let in while it asks need not be started again.
  const std::string d = t.line_of("d");
  auto third = t.keyed_peer("d", 2, 3);
  REQUIRE(eventually([&] { return t.server_says(d.substr(0, 40)); }));
  t.let_in(a + b + d);
  REQUIRE(eventually([&] { return t.peers("run") == 3; }));

  t.let_in("no key at all\n");
  REQUIRE(eventually([&] { return t.server_says("authorized_peers:1: "); }));
  CHECK(advances(t));
  CHECK(t.peers("run") == 3);

  t.let_in(a + "#" + b + d);
  CHECK(second.wait() == 4);
  CHECK(says(second, "the key of b was taken out"));
  REQUIRE(eventually([&] { return t.peers("run") == 2; }));
  CHECK(advances(t));
  server.signal(SIGINT);
  CHECK(server.wait() == 0);
  CHECK(first.wait() == 0);
  CHECK(third.wait() == 0);
}

TEST_CASE("fault 28: who is revoked and does not go is cut off") {
  KeyedRun t;
  const std::string a = t.line_of("a");
  const std::string b = t.line_of("b");
  t.let_in(a + b);
  auto server = t.keyed_server(1);
  auto first = t.keyed_peer("a", 0, 2);
  REQUIRE(eventually([&] { return t.round("run") > 5; }));

  zmq::context_t context;
  zmq::socket_t socket = make_dealer(context, false);
  use_keys(socket, t.client_keys("b"));
  zmq::socket_t events(context, zmq::socket_type::pair);
  REQUIRE(zmq_socket_monitor(
              socket.handle(), "inproc://b",
              ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED) == 0);
  events.connect("inproc://b");
  events.set(zmq::sockopt::rcvtimeo, 60'000);
  const auto next_event = [&] {
    zmq::message_t event;
    zmq::message_t address;
    std::uint16_t kind = 0;
    if (events.recv(event) && events.recv(address))
      std::memcpy(&kind, event.data<char>(), sizeof kind);
    return kind;
  };
  REQUIRE(connect(socket, t.endpoint("run")).ok());
  REQUIRE(next_event() == ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
  // A member: the connection of a stranger would not be let be for long.
  (void)send(socket, "", hello_of("b"));
  REQUIRE(eventually([&] { return t.server_says("(b) joined"); }));

  t.let_in(a);
  CHECK(next_event() == ZMQ_EVENT_DISCONNECTED);
  CHECK(advances(t));
  (void)zmq_socket_monitor(socket.handle(), nullptr, 0);
  server.signal(SIGINT);
  CHECK(server.wait() == 0);
  CHECK(first.wait() == 0);
}

TEST_CASE("fault 28: strangers get no byte of a batch, and no D") {
  KeyedRun t;
  t.let_in(t.line_of("a") + t.line_of("b"));
  (void)t.line_of("eve");
  auto server = t.keyed_server(2);
  auto a = t.keyed_peer("a", 0, 2);
  auto b = t.keyed_peer("b", 1, 2);
  REQUIRE(eventually([&] { return t.round("run") > 5; }));
  CHECK(bytes_for(t, "a", std::nullopt) == 0);
  CHECK(bytes_for(t, "eve", t.client_keys("eve")) == 0);
  ClientKeys wrong = t.client_keys("a");
  wrong.server = make_key_pair().public_key;
  CHECK(bytes_for(t, "a", wrong) == 0);
  CHECK(t.peers("run") == 2);
  // Nor may a key that is let in send a discriminator that nobody announced.
  const nlohmann::json status = t.status("run");
  const std::string listener = status["peers"][0]["endpoint"];
  CHECK_FALSE(lets_in(listener, read_key_pair(t / "a.key")->public_key,
                      t.client_keys("eve")));
  server.signal(SIGINT);
  CHECK(server.wait() == 0);
}

TEST_CASE("fault 28: a key is let in at a listener for one exchange") {
  KeyedRun t;
  t.let_in(t.line_of("a") + t.line_of("b"));
  auto server = t.keyed_server(1, {"--swap-epochs", "0"});
  auto donor = t.keyed_peer("a", 0, 2);
  REQUIRE(eventually([&] { return t.round("run") > 5; }));
  auto joiner = t.keyed_peer("b", 1, 2);
  REQUIRE(eventually([&] { return t.server_says(" has a copy of peer "); }));
  std::string listener;
  REQUIRE(eventually([&] {
    const nlohmann::json status = t.status("run");
    for (const auto& peer : status["peers"])
      if (peer["name"] == "b") listener = peer["endpoint"];
    return !listener.empty();
  }));
  CHECK(eventually([&] { return connections_to(listener) == 0; }));
  CHECK_FALSE(
      lets_in(listener, t.client_keys("b").own.public_key, t.client_keys("a")));
  server.signal(SIGINT);
  CHECK(server.wait() == 0);
}

TEST_CASE("fault 9: a peer's name is the one of its key") {
  KeyedRun t;
  t.let_in(t.line_of("a") + t.line_of("b"));
  auto server = t.keyed_server(3);
  auto liar = t.peer("run", 0, 2, t.keys_of("a") + Words{"--name", "b"});
  CHECK(liar.wait() == 4);
  CHECK(says(liar, "start it with --name a"));
  // Several of one process are NAME-0, NAME-1, and one needs not be told.
  auto two =
      t.tool(Words{MDGAN_PEER} + t.keys_of("a") +
                 Words{"--server", t.endpoint("run"), "--data", t.file("data"),
                       "--sessions", "2", "--state-dir", t.file("state")},
             "two.out");
  auto one = t.keyed_peer("b", 0, 1);
  REQUIRE(eventually([&] { return t.peers("run") == 3; }));
  Words names;
  const nlohmann::json status = t.status("run");
  for (const auto& peer : status["peers"])
    if (peer["presence"] == "live") names.push_back(peer["name"]);
  std::ranges::sort(names);
  CHECK(names == Words{"a-0", "a-1", "b"});
  server.signal(SIGINT);
  CHECK(server.wait() == 0);
  CHECK(two.wait() == 0);
}

TEST_CASE("fault 30: a key brings as many peers as its line says") {
  KeyedRun t;
  const std::string line = t.line_of("a");
  t.let_in(line.substr(0, line.find('\n')) + " peers=2\n");
  auto server = t.keyed_server(3);
  auto peers =
      t.tool(Words{MDGAN_PEER} + t.keys_of("a") +
                 Words{"--server", t.endpoint("run"), "--data", t.file("data"),
                       "--sessions", "3", "--state-dir", t.file("state")},
             "three.out");
  CHECK(peers.wait() == 4);
  CHECK(says(peers, "its key may bring no more than 2 peers"));
  CHECK(says(peers, "write peers=N after the name"));
  server.signal(SIGINT);
  CHECK(server.wait() == 0);
}

TEST_CASE("fault 29: keys that do not fit end a peer with 4 and the reason") {
  KeyedRun t;
  t.let_in(t.line_of("a"));
  SECTION("another server's key") {
    auto server = t.keyed_server(1);
    auto peer = t.peer("run", 0, 1,
                       {"--key", t.file("a.key"), "--server-key",
                        to_z85(make_key_pair().public_key), "--name", "a"});
    CHECK(peer.wait() == 4);
    CHECK(says(peer, "has another key than the one that --server-key names"));
    CHECK(eventually([&] {
      return t.server_says("its --server-key is not") ||
             t.server_says("before it proved a key");
    }));
  }
  SECTION("a peer without") {
    auto server = t.keyed_server(1);
    auto peer = t.peer("run", 0, 1);
    CHECK(peer.wait() == 4);
    CHECK(says(peer, "mdgan-peer keygen"));
    CHECK(eventually([&] {
      return t.server_says("it has no key") ||
             t.server_says("before it proved a key");
    }));
  }
  SECTION("a peer that is not let in, and has little patience") {
    t.let_in("# nobody\n");
    auto server = t.keyed_server(1);
    auto peer = t.keyed_peer("a", 0, 1, {"--connect-timeout", "1"});
    CHECK(peer.wait() == 4);
    CHECK(says(peer, "does not let in this peer's key"));
  }
  SECTION("a server without") {
    auto server = t.server("run", {"--bind", "tcp://127.0.0.1:*", "--rounds",
                                   "9", "--min-peers", "1"});
    auto peer = t.keyed_peer("a", 0, 1);
    CHECK(peer.wait() == 4);
    CHECK(says(peer, "has no key, so nobody knows whose it is"));
  }
}

TEST_CASE("a run that goes on remembers whose key was whose") {
  KeyedRun t;
  t.let_in(t.line_of("a"));
  auto server = t.keyed_server(1);
  auto peer = t.keyed_peer("a", 0, 1);
  REQUIRE(eventually([&] { return t.round("run") > 5; }));
  server.signal(SIGINT);
  REQUIRE(server.wait() == 0);
  CHECK(peer.wait() == 0);
  fs::rename(t / "a.key", t / "old.key");
  fs::rename(t / "a.pub", t / "old.pub");
  t.let_in(t.line_of("a"));
  auto again = t.server("run", {"--resume", t.file("run")});
  auto other = t.keyed_peer("a", 0, 1);
  CHECK(other.wait() == 4);
  CHECK(says(other, "peer a of this run has another key"));
  t.let_in(read_text(t / "old.pub"));
  fs::remove(t / "a.key");
  fs::rename(t / "old.key", t / "a.key");
  REQUIRE(eventually([&] { return t.server_says("was read again"); }));
  auto old = t.keyed_peer("a", 0, 1);
  CHECK(advances(t));
  again.signal(SIGINT);
  CHECK(again.wait() == 0);
  CHECK(old.wait() == 0);
}

TEST_CASE("what others can reach needs keys, or --insecure, which is loud") {
  const ProcessRun t;
  auto server = t.server("run", {"--bind", "tcp://0.0.0.0:*"});
  CHECK(server.wait() == 4);
  CHECK(says(server, "mdgan-server keygen"));
  CHECK(says(server, "mdgan-peer keygen"));
  CHECK(says(server, "authorized_peers"));
  CHECK_FALSE(fs::exists(t / "run"));
  for (const char* address : {"tcp://10.0.0.1:5555", "tcp://127.evil.org:1"}) {
    auto peer = t.tool(
        {MDGAN_PEER, "--server", address, "--data", (t / "data").string()},
        "peer");
    CHECK(peer.wait() == 4);
    CHECK(says(peer, "mdgan-peer keygen"));
  }
  auto listens = t.tool({MDGAN_PEER, "--server", "tcp://127.0.0.1:1", "--data",
                         (t / "data").string(), "--listen", "tcp://0.0.0.0:*"},
                        "peer");
  CHECK(listens.wait() == 4);

  auto open = t.server("run", {"--bind", "tcp://0.0.0.0:*", "--insecure",
                               "--rounds", "10000000", "--min-peers", "1"});
  const std::string port =
      t.endpoint("run").substr(t.endpoint("run").rfind(':'));
  auto peer =
      t.tool({MDGAN_PEER, "--server", "tcp://127.0.0.1" + port, "--data",
              (t / "data").string(), "--listen", "tcp://0.0.0.0:*",
              "--insecure", "--state-dir", (t / "state").string()},
             "peer");
  REQUIRE(eventually([&] { return t.round("run") > 5; }));
  CHECK(t.status("run")["insecure"] == true);
  CHECK(t.log("run").find("INSECURE: everybody") != std::string::npos);
  CHECK(t.log("run").find("  INSECURE\n") != std::string::npos);
  CHECK(says(peer, "INSECURE: others can read"));
  CHECK(read_text(t / "run" / "config.ini").find("insecure") ==
        std::string::npos);
  open.signal(SIGINT);
  CHECK(open.wait() == 0);
  CHECK(peer.wait() == 0);
  // It is said anew each time.
  auto resumed = t.server("run", {"--resume", (t / "run").string()});
  CHECK(resumed.wait() == 4);
}

TEST_CASE("a secret key that others can read is refused with 4") {
  KeyedRun t;
  t.let_in(t.line_of("a"));
  REQUIRE(::chmod(t.file("server.key").c_str(), 0640) == 0);
  auto server = t.keyed_server(1);
  CHECK(server.wait() == 4);
  CHECK(says(server, "chmod 600"));
  REQUIRE(::chmod(t.file("server.key").c_str(), 0600) == 0);
  fs::remove(t / "authorized_peers");
  auto none = t.keyed_server(1);
  CHECK(none.wait() == 4);
  CHECK(says(none, "authorized_peers"));
}

}  // namespace mdgan::test
