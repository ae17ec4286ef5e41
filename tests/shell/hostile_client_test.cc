// Clients and hosts made by hand, who speak as much of ZeroMQ's protocol as
// they need to attack a run with keys: nothing that is worth keeping secret
// reaches them, and nothing they send reaches the run.
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/descriptors.h"
#include "common/data/partition.h"
#include "common/keys/key_file.h"
#include "common/net/curve.h"
#include "peer/io/peer_shell.h"
#include "tests/support/catch.h"
#include "tests/support/child_process.h"
#include "tests/support/contains.h"
#include "tests/support/cutting_proxy.h"
#include "tests/support/in_process_run.h"
#include "tests/support/link.h"
#include "tests/support/tcp_client.h"
#include "tests/support/tcp_host.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/text_file.h"
#include "tests/support/zmtp.h"

namespace mdgan::test {
namespace {

// What whoever has no key of the run may get, and may be told: the greeting and
// CURVE's first command.
constexpr std::size_t kMostGot = kGreetingBytes + kCurveWelcomeBytes;
constexpr std::size_t kMostTold = kGreetingBytes + kCurveHelloBytes;

// Names that would be seen on the wire.
constexpr const char* kNorth = "hospital-of-the-north";
constexpr const char* kSouth = "hospital-of-the-south";
constexpr const char* kWest = "hospital-of-the-west";

// A peer that has what a process of its own has: a context, and a handler that
// decides whom its listener lets in.
class PeerWithKeys {
 public:
  PeerWithKeys(PeerShellOptions options, const std::string& name,
               std::uint32_t index, const TemporaryDirectory& directory) {
    if (options.keys) {
      zap_.emplace(context_);
      options.zap = &*zap_;
    }
    options.workers = 1;
    options.verbose = false;
    options.peers.push_back(
        {name, index, cut_evenly(40, 3)[index], directory / name});
    shell_ = std::make_unique<PeerShell>(context_, options, small_images(),
                                         peer_arithmetic());
    report_ = std::async(std::launch::async, [this] { return shell_->run(); });
  }
  ~PeerWithKeys() {
    shell_->request_leave();
    if (report_.valid()) report_.wait();
  }
  PeerWithKeys(const PeerWithKeys&) = delete;
  PeerWithKeys& operator=(const PeerWithKeys&) = delete;

  void leave() {
    shell_->request_leave();
    REQUIRE(report_.get().ok());
  }
  Error end() {
    const Result<PeerShellReport> report = report_.get();
    return report ? Error{report->text, report->code} : report.error();
  }
  ExitCode code() { return end().code; }

 private:
  zmq::context_t context_;
  std::optional<ZapHandler> zap_;
  std::unique_ptr<PeerShell> shell_;
  std::future<Result<PeerShellReport>> report_;
};

// A run of three peers at most, which goes on with two.
class Run {
 public:
  explicit Run(std::uint32_t min_peers) {
    ServerOptions options = small_options();
    options.bind = kAnyPort;
    options.rounds = 1'000'000'000;
    options.min_peers = min_peers;
    options.swap_timeout = Seconds(2);
    options.key = (folder_ / "server.key").string();
    REQUIRE(write_key_pair(options.key, keys_, "").ok());
    std::string list;
    for (const char* name : {kNorth, kSouth, kWest})
      list += to_z85(key_of(name).public_key) + " " + name + "\n";
    write_text(folder_ / "authorized_peers", list);
    server_.emplace(folder_ / "run", options);
  }

  const KeyPair& key_of(const std::string& name) {
    return peers_.try_emplace(name, make_key_pair()).first->second;
  }
  PeerShellOptions options_of(const std::string& name) {
    PeerShellOptions options;
    options.server = server_->endpoint();
    options.listen = kAnyPort;
    options.keys = key_of(name);
    options.server_key = keys_.public_key;
    return options;
  }
  std::unique_ptr<PeerWithKeys> peer(const std::string& name,
                                     std::uint32_t index,
                                     const PeerShellOptions& options) const {
    return std::make_unique<PeerWithKeys>(options, name, index, folder_);
  }
  std::unique_ptr<PeerWithKeys> peer(const std::string& name,
                                     std::uint32_t index) {
    return peer(name, index, options_of(name));
  }
  bool advances() const {
    const auto rounds = [&] { return count_of(server_->stats(), "\n"); };
    return eventually([&, then = rounds()] { return rounds() > then + 10; });
  }
  std::size_t told(const std::string& text) const {
    return count_of(server_->log(), text);
  }
  const std::string& endpoint() const { return server_->endpoint(); }

 private:
  TemporaryDirectory folder_;
  KeyPair keys_ = make_key_pair();
  std::map<std::string, KeyPair> peers_;
  std::optional<InProcessServer> server_;
};

std::string hello_of(const std::string& name) {
  protocol::Hello hello;
  hello.name = name;
  hello.shard_size = 20'000;
  hello.image = small_images()->shape;
  hello.endpoint = "tcp://127.0.0.1:1";
  protocol::Message message;
  message.body = hello;
  const auto bytes = protocol::encode(message);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// An endpoint of this machine that nobody has, for a listener behind a proxy.
std::string free_endpoint() { return TcpHost("").endpoint(); }

}  // namespace

TEST_CASE("fault 28: a client without a key gets a greeting, whatever it says",
          "[shell]") {
  Run run(2);
  const auto north = run.peer(kNorth, 0);
  const auto south = run.peer(kSouth, 1);
  REQUIRE(run.advances());
  const std::string hello = zmtp_message(hello_of(kWest));
  const std::string curve = zmtp_greeting("CURVE");
  const std::string version("\x01\x00", 2);
  const std::vector<std::string> attacks{
      zmtp_greeting() + zmtp_ready() + hello,
      zmtp_greeting("PLAIN") + zmtp_command("HELLO", "\x01x\x01y") + hello,
      zmtp_greeting("GSSAPI") + zmtp_ready() + hello,
      // It says that it has a key, and goes on as if nobody asked for it.
      curve + zmtp_ready() + hello,
      curve + hello + hello,
      curve + zmtp_command("HELLO", version + std::string(192, '\0')) + hello,
      curve + zmtp_command("HELLO", std::string(5000, 'x')),
      curve + zmtp_command("INITIATE", std::string(300, '\0')) + hello,
      curve + zmtp_command("MESSAGE", std::string(8, '\0') + hello),
      curve + zmtp_command("WELCOME", std::string(160, '\0')) + hello,
  };
  for (std::size_t i = 0; i < attacks.size(); ++i) {
    INFO("attack " << i);
    const TcpClient client(run.endpoint());
    client.send(attacks[i]);
    CHECK(client.receive_all().size() <= kGreetingBytes);
  }
  CHECK(run.told(" joined: ") == 2);
  CHECK(run.advances());
}

TEST_CASE("fault 28: a peer's bytes that are sent again get nothing",
          "[shell]") {
  Run run(3);
  CuttingProxy wire(run.endpoint());
  PeerShellOptions through = run.options_of(kNorth);
  through.server = wire.endpoint();
  auto north = run.peer(kNorth, 0, through);
  const auto south = run.peer(kSouth, 1);
  const auto west = run.peer(kWest, 2);
  REQUIRE(run.advances());
  north->leave();
  const std::string said = wire.to_server();
  const std::string heard = wire.to_peer();
  REQUIRE(said.size() > 1000);
  REQUIRE(heard.size() > 1000);

  // The handshake, the hello and some more: what a stranger may send at once.
  const TcpClient again(run.endpoint());
  again.send(said.substr(0, 1500));
  CHECK(said.find(kNorth) == said.npos);
  CHECK(again.receive_all().size() <= kMostGot);
  const TcpClient whole(run.endpoint());
  whole.send(said);
  CHECK(whole.receive_all().size() <= kMostGot);
  // Nor does any part of it: handshakes that break off at every point.
  for (std::size_t cut = 1; cut < 900; cut += cut < 80 ? 7 : 61)
    CHECK(TcpClient(run.endpoint()).send(said.substr(0, cut)));
  // The frames without the handshake that they are sealed for, and a handshake
  // with what another one is to have.
  const std::string rest = said.substr(kMostTold);
  CHECK(TcpClient(run.endpoint()).send(zmtp_greeting("CURVE") + rest));
  CHECK(run.told(" joined: ") == 3);
  CHECK(run.advances());

  // And the server's bytes again: the peer tells whoever sends them nothing.
  const TcpHost host(heard.substr(0, kGreetingBytes),
                     heard.substr(kGreetingBytes));
  PeerShellOptions astray = run.options_of(kNorth);
  astray.server = host.endpoint();
  auto back = run.peer(kNorth, 0, astray);
  REQUIRE(eventually([&] { return host.longest() > kGreetingBytes; }));
  back->leave();
  CHECK(host.longest() <= kMostTold);
}

TEST_CASE("fault 29: a peer with a key tells no other host anything",
          "[shell]") {
  Run run(1);
  const std::vector<std::pair<std::string, std::string>> answers{
      {zmtp_greeting() + zmtp_ready(), ""},
      {zmtp_greeting("PLAIN"), ""},
      {zmtp_greeting("CURVE"), zmtp_command("WELCOME", std::string(160, 'x'))},
      {zmtp_greeting("CURVE"), zmtp_ready() + zmtp_message("x")},
      {zmtp_greeting("CURVE"), zmtp_command("ERROR",
                                            "\x03"
                                            "200")},
      {"HTTP/1.1 200 OK\r\n\r\n", ""},
  };
  const auto kind = GENERATE(range<std::size_t>(0, 6));
  INFO("answer " << kind);
  const TcpHost host(answers.at(kind).first, answers.at(kind).second);
  PeerShellOptions options = run.options_of(kNorth);
  options.server = host.endpoint();
  const auto peer = run.peer(kNorth, 0, options);
  REQUIRE(eventually([&] { return host.longest() > 0; }));
  REQUIRE(eventually([&] { return host.heard().size() >= 2; }));
  CHECK(host.longest() <= kMostTold);
  const PublicKey& own = run.key_of(kNorth).public_key;
  const std::string key(reinterpret_cast<const char*>(own.data()), own.size());
  for (const std::string& told : host.heard()) {
    CHECK(told.find(kNorth) == told.npos);
    CHECK(told.find(key) == told.npos);
  }
}

TEST_CASE("fault 29: a peer without a key tells a server with one nothing",
          "[shell]") {
  Run run(1);
  const TcpHost host(zmtp_greeting("CURVE"));
  PeerShellOptions options;
  options.server = host.endpoint();
  options.listen = kAnyPort;
  const auto peer = run.peer(kNorth, 0, options);
  const Error end = peer->end();
  CHECK(end.code == ExitCode::kAuthentication);
  CHECK(contains(end.message, {"mdgan-peer keygen"}));
  CHECK(host.longest() >= 10);
  CHECK(host.longest() <= kGreetingBytes);
}

TEST_CASE("fault 45: a discriminator that is led elsewhere stays where it is",
          "[shell]") {
  Run run(2);
  PeerShellOptions options = run.options_of(kNorth);
  std::optional<TcpHost> host;
  SECTION("a host without keys") {
    host.emplace(zmtp_greeting() + zmtp_ready());
  }
  SECTION("one that pretends to have the key") {
    host.emplace(zmtp_greeting("CURVE"),
                 zmtp_command("WELCOME", std::string(160, 'x')));
  }
  SECTION("one that says nothing") { host.emplace(""); }
  zmq::context_t context;
  Socket router = make_router(context);
  std::string third = host ? host->endpoint() : "";
  SECTION("one that has another key") {
    third = kAnyPort;
    require_keys(router, run.key_of(kWest), kPeersDomain);
    REQUIRE(bind_router(router, third).ok());
  }
  options.advertise = third;
  const auto north = run.peer(kNorth, 0, options);
  const auto south = run.peer(kSouth, 1);
  // It was tried, and found to lead nowhere.
  REQUIRE(eventually([&] { return run.told(" by relay") > 0; }));
  CHECK(run.told(" at " + third + " had not come through") > 0);
  if (host) CHECK(host->longest() <= kMostTold);
  CHECK_FALSE(receive(router));
  CHECK(run.advances());
}

TEST_CASE("fault 45: what was sent to a listener is of no use a second time",
          "[shell]") {
  Run run(2);
  PeerShellOptions options = run.options_of(kNorth);
  options.listen = free_endpoint();
  const CuttingProxy wire(options.listen);
  options.advertise = wire.endpoint();
  const auto north = run.peer(kNorth, 0, options);
  const auto south = run.peer(kSouth, 1);
  REQUIRE(eventually([&] { return run.told(" among 2") > 0; }));
  const std::string said = wire.to_server();
  REQUIRE(said.size() > kMostTold + 300);  // the handshake, and D

  const TcpClient again(options.listen);
  again.send(said);
  CHECK(again.receive_up_to(kMostGot + 1).size() <= kMostGot);
  const TcpClient plain(options.listen);
  plain.send(zmtp_greeting() + zmtp_ready() + zmtp_message(hello_of(kWest)));
  CHECK(plain.receive_all().size() <= kGreetingBytes);
  CHECK(run.advances());
}

TEST_CASE("fault 30: a peer's listener bears no more than so many strangers",
          "[shell]") {
  raise_descriptor_limit();  // else a quarter of it might be what bounds them
  Run run(2);
  PeerShellOptions options = run.options_of(kNorth);
  options.listen = free_endpoint();
  const auto north = run.peer(kNorth, 0, options);
  const auto south = run.peer(kSouth, 1);
  const auto swaps = [&] { return run.told(" among 2"); };
  REQUIRE(eventually([&] { return swaps() > 0; }));
  std::vector<std::unique_ptr<TcpClient>> strangers;
  for (int i = 0; i < 300; ++i)  // 256 may stay
    strangers.push_back(std::make_unique<TcpClient>(options.listen));
  CHECK(eventually([&] {
    return run.told("too many connections have sent nothing valid") > 0;
  }));
  CHECK(eventually([&, then = swaps()] { return swaps() > then; }));
}

}  // namespace mdgan::test
