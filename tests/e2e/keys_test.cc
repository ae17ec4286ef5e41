// Keys with real processes: who is let in, who is not, and what both are told.
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "common/keys/key.h"
#include "common/keys/key_file.h"
#include "common/net/curve.h"
#include "tests/support/catch.h"
#include "tests/support/link.h"
#include "tests/support/process_run.h"
#include "tests/support/text_file.h"

namespace mdgan::test {

namespace fs = std::filesystem;

namespace {

using Words = std::vector<std::string>;

Words joined(Words a, const Words& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// A run whose server and peers have keys.
class KeyedRun : public ProcessRun {
 public:
  KeyedRun() {
    ChildProcess keygen =
        tool({MDGAN_SERVER, "keygen", "--key", file("server.key")}, "keygen");
    REQUIRE(keygen.wait() == 0);
    server_key_ = words_of("server.pub").front();
  }

  std::string file(const std::string& name) const {
    return (*this / name).string();
  }
  // Makes the key of peer `name` and returns its line.
  std::string line_of(const std::string& name) {
    ChildProcess keygen = tool(
        {MDGAN_PEER, "keygen", "--key", file(name + ".key"), "--name", name},
        "keygen-" + name);
    REQUIRE(keygen.wait() == 0);
    return read_text(*this / (name + ".pub"));
  }
  void let_in(const std::string& lines) {
    write_text(*this / "authorized_peers", lines);
  }
  ChildProcess keyed_server(std::uint32_t min_peers,
                            const Words& more = {}) const {
    return server("run",
                  joined({"--bind", "tcp://127.0.0.1:*", "--rounds", "10000000",
                          "--min-peers", std::to_string(min_peers), "--key",
                          file("server.key")},
                         more));
  }
  Words keys_of(const std::string& name) const {
    return {"--key", file(name + ".key"), "--server-key", server_key_};
  }
  // Peer `index` of `count`, which has the key of `name`.
  ChildProcess keyed_peer(const std::string& name, std::uint32_t index,
                          std::uint32_t count, const Words& more = {}) const {
    return peer("run", index, count,
                joined(joined(keys_of(name), {"--name", name}), more));
  }
  ClientKeys client_keys(const std::string& name) const {
    return {*read_key_pair(*this / (name + ".key")),
            *public_key_of(server_key_)};
  }
  const std::string& server_key() const { return server_key_; }
  bool server_says(const std::string& text) const {
    return log("run").find(text) != std::string::npos;
  }

 private:
  Words words_of(const std::string& name) const {
    std::string text = read_text(*this / name);
    text.erase(text.find_first_of(" \n"));
    return {text};
  }
  std::string server_key_;
};

bool says(const ChildProcess& process, const std::string& text) {
  const bool found = process.output().find(text) != std::string::npos;
  if (!found) WARN("'" << text << "' is not in:\n" << process.output());
  return found;
}

bool advances(const KeyedRun& t) {
  const auto before = t.round("run");
  return eventually([&] { return t.round("run") > before + 10; });
}

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

  auto third = t.keyed_peer("c", 2, 3);
  CHECK(third.wait() == 4);
  CHECK(says(third, "authorized_peers"));
  CHECK(says(third, c.substr(0, 40)));
  CHECK(eventually([&] { return t.server_says(c.substr(0, 40)); }));
  CHECK(t.server_says("is not let in"));
  CHECK(advances(t));

  t.let_in(a + b + c);
  REQUIRE(eventually([&] { return t.server_says("3 peers are let in"); }));
  auto again = t.keyed_peer("c", 2, 3);
  REQUIRE(eventually([&] { return t.peers("run") == 3; }));

  t.let_in("no key at all\n");
  REQUIRE(eventually([&] { return t.server_says("authorized_peers:1: "); }));
  CHECK(advances(t));
  CHECK(t.peers("run") == 3);

  t.let_in(a + "#" + b + c);
  CHECK(second.wait() == 4);
  CHECK(says(second, "the key of b was taken out"));
  REQUIRE(eventually([&] { return t.peers("run") == 2; }));
  CHECK(advances(t));
  server.signal(SIGINT);
  CHECK(server.wait() == 0);
  CHECK(first.wait() == 0);
  CHECK(again.wait() == 0);
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
  zmq::context_t context;
  ClientKeys eve = t.client_keys("eve");
  eve.server = read_key_pair(t / "a.key")->public_key;
  zmq::socket_t socket = make_dealer(context, false);
  use_keys(socket, eve);
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
  CHECK(kind != ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
  (void)zmq_socket_monitor(socket.handle(), nullptr, 0);
  server.signal(SIGINT);
  CHECK(server.wait() == 0);
}

TEST_CASE("fault 9: a peer's name is the one of its key") {
  KeyedRun t;
  t.let_in(t.line_of("a") + t.line_of("b"));
  auto server = t.keyed_server(3);
  auto liar = t.peer("run", 0, 2, joined(t.keys_of("a"), {"--name", "b"}));
  CHECK(liar.wait() == 4);
  CHECK(says(liar, "start it with --name a"));
  // Several of one process are NAME-0, NAME-1, and one needs not be told.
  auto two =
      t.tool(joined(joined({MDGAN_PEER}, t.keys_of("a")),
                    {"--server", t.endpoint("run"), "--data", t.file("data"),
                     "--sessions", "2", "--state-dir", t.file("state")}),
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

TEST_CASE("local peers and others swap with keys") {
  KeyedRun t;
  t.let_in(t.line_of("a"));
  auto server =
      t.keyed_server(3, {"--local-peers", "2", "--data", t.file("data")});
  auto peer = t.keyed_peer("a", 0, 1);
  REQUIRE(eventually([&] { return t.peers("run") == 3; }));
  CHECK(eventually([&] { return t.server_says(" among 3 "); }));
  CHECK_FALSE(t.server_says("aborted"));
  server.signal(SIGINT);
  CHECK(server.wait() == 0);
  CHECK(peer.wait() == 0);
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
