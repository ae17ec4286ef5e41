// Sockets with keys: who gets a connection, what its messages tell of it, and
// what a server asks for.
#include "common/net/handshake.h"

#include <chrono>
#include <cstring>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "common/keys/key.h"
#include "common/net/curve.h"
#include "common/net/zap_handler.h"
#include "tests/support/catch.h"
#include "tests/support/child_process.h"
#include "tests/support/link.h"
#include "tests/support/tcp_client.h"
#include "tests/support/zmtp.h"

namespace mdgan::test {
namespace {

constexpr int kEvents =
    ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
    ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;

// A ROUTER with keys, and the process's handler.
struct KeyedHub {
  explicit KeyedHub(const std::string& domain = kServerDomain) {
    require_keys(router, keys.own, domain);
    REQUIRE(bind_router(router, endpoint).ok());
  }
  struct {
    KeyPair own = make_key_pair();
  } keys;
  zmq::context_t context;
  ZapHandler zap{context};
  std::string endpoint = kAnyPort;
  Socket router = make_router(context);
};

// A DEALER, and what becomes of its handshakes.
class Client {
 public:
  explicit Client(const std::string& endpoint,
                  const std::optional<ClientKeys>& keys = {})
      : socket(make_dealer(context_, false)),
        events_(context_, zmq::socket_type::pair) {
    socket.set(zmq::sockopt::reconnect_ivl, 50);
    if (keys) use_keys(socket, *keys);
    REQUIRE(zmq_socket_monitor(socket.handle(), "inproc://e", kEvents) == 0);
    events_.connect("inproc://e");
    REQUIRE(connect(socket, endpoint).ok());
  }
  ~Client() { (void)zmq_socket_monitor(socket.handle(), nullptr, 0); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // The next event; 0: none came.
  int event() {
    events_.set(zmq::sockopt::rcvtimeo, 60'000);
    zmq::message_t event;
    zmq::message_t address;
    if (!events_.recv(event)) return 0;
    (void)events_.recv(address);
    std::uint16_t kind = 0;
    std::memcpy(&kind, event.data<char>(), sizeof kind);
    return kind;
  }

 private:
  zmq::context_t context_;

 public:
  Socket socket;

 private:
  zmq::socket_t events_;
};

}  // namespace

TEST_CASE("fault 28: a message tells the key and the name of its sender") {
  KeyedHub hub;
  const KeyPair ann = make_key_pair();
  hub.zap.set(kServerDomain, {{{ann.public_key, "ann"}}});
  Client client(hub.endpoint, ClientKeys{ann, hub.keys.own.public_key});
  CHECK(client.event() == ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
  REQUIRE(send(client.socket, "", greeting()) == Sent::kYes);
  const Received received = next_message(hub.router);
  CHECK(received.user == "ann");
  CHECK(received.key == ann.public_key);
  // Its frames are as large as any.
  const Blob values = counting_floats(1'000'000);
  TensorFrames frames(std::span(&values, 1));
  REQUIRE(send(client.socket, "", announcing(std::span(&values, 1)), &frames) ==
          Sent::kYes);
  CHECK(next_message(hub.router).tensors.size() == 1);
}

TEST_CASE(
    "fault 28: a key that is not listed gets no connection, and is told") {
  KeyedHub hub;
  const KeyPair ann = make_key_pair();
  const KeyPair eve = make_key_pair();
  std::optional<PublicKey> refused;
  std::mutex mutex;
  hub.zap.set(kServerDomain, {{{ann.public_key, "ann"}}},
              [&](const std::string& address, const PublicKey& key) {
                const std::lock_guard lock(mutex);
                CHECK(address == "127.0.0.1");
                refused = key;
              });
  Client client(hub.endpoint, ClientKeys{eve, hub.keys.own.public_key});
  CHECK(client.event() == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH);
  CHECK(eventually([&] {
    const std::lock_guard lock(mutex);
    return refused == eve.public_key;
  }));
  CHECK_FALSE(receive(hub.router));
  hub.zap.remove(kServerDomain);
}

TEST_CASE("who comes before it is announced waits, and gets in when it is") {
  KeyedHub hub(kPeersDomain);
  const KeyPair ann = make_key_pair();
  hub.zap.set(kPeersDomain, {{}, ZapStatus::kNotYet});
  // Others that wait delay nobody.
  const Client eve(hub.endpoint,
                   ClientKeys{make_key_pair(), hub.keys.own.public_key});
  Client client(hub.endpoint, ClientKeys{ann, hub.keys.own.public_key});
  REQUIRE(send(client.socket, "", greeting()) == Sent::kYes);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  CHECK_FALSE(receive(hub.router));
  hub.zap.admit(kPeersDomain, ann.public_key, "peer");
  // Its first handshake succeeds: it need not connect again.
  CHECK(client.event() == ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
  CHECK(next_message(hub.router).key == ann.public_key);
}

TEST_CASE("fault 29: nothing passes where the keys do not fit") {
  KeyedHub hub;
  const KeyPair ann = make_key_pair();
  hub.zap.set(kServerDomain, {{{ann.public_key, "ann"}}});
  SECTION("another server's key") {
    Client client(hub.endpoint, ClientKeys{ann, make_key_pair().public_key});
    CHECK(client.event() != ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
  }
  SECTION("no key") {
    Client client(hub.endpoint);
    CHECK(client.event() != ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
  }
  SECTION("a server without one") {
    Hub plain;
    Client client(plain.endpoint(), ClientKeys{ann, hub.keys.own.public_key});
    CHECK(client.event() != ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
  }
  CHECK_FALSE(receive(hub.router));
}

TEST_CASE(
    "without a handler a message has no key, so nobody takes it for one's") {
  zmq::context_t context;
  std::string endpoint = kAnyPort;
  SECTION("of a socket with keys") {
    Socket router = make_router(context);
    const KeyPair own = make_key_pair();
    require_keys(router, own, kServerDomain);
    REQUIRE(bind_router(router, endpoint).ok());
    Client client(endpoint, ClientKeys{make_key_pair(), own.public_key});
    REQUIRE(send(client.socket, "", greeting()) == Sent::kYes);
    CHECK(next_message(router).key == PublicKey{});
  }
  SECTION("of one without, whose client says that it has one") {
    Socket router = make_bound_router(context, endpoint);
    const TcpClient client(endpoint);
    const std::vector<std::byte> envelope = protocol::encode(greeting());
    shake_hands(client, {{kKeyProperty, to_z85(make_key_pair().public_key)}});
    client.send(zmtp_message(
        {reinterpret_cast<const char*>(envelope.data()), envelope.size()}));
    const Received received = next_message(router);
    CHECK(received.message.ok());
    CHECK(received.key == PublicKey{});
  }
}

TEST_CASE("fault 29: a server's greeting tells whether it has keys") {
  using std::chrono::seconds;
  KeyedHub hub;
  Hub plain;
  CHECK(mechanism_at(*parse_endpoint(hub.endpoint, "x"), seconds(60)) ==
        "CURVE");
  CHECK(mechanism_at(*parse_endpoint(plain.endpoint(), "x"), seconds(60)) ==
        "NULL");
  CHECK(mechanism_at({"127.0.0.1", "1"}, seconds(60)).empty());
}

}  // namespace mdgan::test
