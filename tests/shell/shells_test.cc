// The shells of server and peers with all their threads and real sockets, and
// with arithmetic so small that the thread sanitizer can watch: it has no
// LibTorch in it.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <future>
#include <memory>
#include <optional>
#include <string>

#include "common/base/error_exception.h"
#include "common/data/partition.h"
#include "common/merge/rules.h"
#include "peer/show_status.h"
#include "tests/support/catch.h"
#include "tests/support/child_process.h"
#include "tests/support/contains.h"
#include "tests/support/in_process_run.h"
#include "tests/support/link.h"
#include "tests/support/temporary_directory.h"

namespace mdgan::test {
namespace {

constexpr std::uint32_t kPeers = 4;

ServerOptions options_of(std::uint64_t rounds) {
  ServerOptions options = small_options();
  options.min_peers = kPeers;
  options.rounds = rounds;
  options.checkpoint_every = 10;
  options.samples_every = 5;
  options.bind = kAnyPort;
  return options;
}

// The generator of a run that nobody disturbs.
std::string undisturbed(std::uint64_t rounds) {
  const TemporaryDirectory directory;
  InProcessServer server(directory / "run", options_of(rounds));
  InProcessPeers peers(server.context(), server.endpoint(), directory.path(), 0,
                       kPeers - 1, kPeers);
  REQUIRE(server.wait().code == ExitCode::kOk);
  REQUIRE(peers.wait().code == ExitCode::kOk);
  return server.weights();
}

// The first line in which `part` stands; empty if there is none.
std::string line_with(const std::string& text, const std::string& part) {
  const auto at = text.find(part);
  if (at == text.npos) return "";
  const auto last = text.rfind('\n', at);
  const auto begin = last == text.npos ? 0 : last + 1;
  return text.substr(begin, text.find('\n', at) - begin);
}

// A peer with whose messages others can meddle, and which says what it does.
class InsecurePeer {
 public:
  InsecurePeer(const std::string& server, const std::string& name,
               const TemporaryDirectory& directory) {
    PeerShellOptions options;
    options.server = server;
    options.insecure = true;
    options.peers.push_back({name, 0, cut_evenly(40, 2)[0], directory / name});
    shell_ = std::make_unique<PeerShell>(context_, options, small_images(),
                                         peer_arithmetic());
    report_ = std::async(std::launch::async, [this] { return shell_->run(); });
  }
  ~InsecurePeer() {
    shell_->request_leave();
    report_.wait();
  }
  InsecurePeer(const InsecurePeer&) = delete;
  InsecurePeer& operator=(const InsecurePeer&) = delete;

 private:
  zmq::context_t context_;
  std::unique_ptr<PeerShell> shell_;
  std::future<Result<PeerShellReport>> report_;
};

// Peers 2 and 3 in a process of their own, which waits for the endpoint of a
// server. Made before this process has threads.
class PeersToKill {
 public:
  explicit PeersToKill(const std::filesystem::path& directory) {
    std::array<int, 2> ends{};
    REQUIRE(::pipe(ends.data()) == 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      std::array<char, 128> endpoint{};
      if (::read(ends[0], endpoint.data(), endpoint.size() - 1) > 0) {
        zmq::context_t context;
        InProcessPeers peers(context, endpoint.data(), directory, 2, 3, kPeers);
        (void)peers.wait();
      }
      ::_exit(0);
    }
    ::close(ends[0]);
    to_child_ = ends[1];
  }
  ~PeersToKill() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    ::close(to_child_);
  }
  PeersToKill(const PeersToKill&) = delete;
  PeersToKill& operator=(const PeersToKill&) = delete;

  void connect_to(const std::string& endpoint) const {
    REQUIRE(::write(to_child_, endpoint.data(), endpoint.size()) ==
            static_cast<ssize_t>(endpoint.size()));
  }
  void kill() const { ::kill(pid_, SIGKILL); }

 private:
  pid_t pid_ = -1;
  int to_child_ = -1;
};

}  // namespace

TEST_CASE("Two hosts of peers that swap give what one gives", "[shell]") {
  const std::string expected = undisturbed(40);
  const TemporaryDirectory directory;
  InProcessServer server(directory / "run", options_of(40));
  InProcessPeers some(server.context(), server.endpoint(), directory.path(), 0,
                      1, kPeers);
  InProcessPeers others(server.context(), server.endpoint(), directory.path(),
                        2, 3, kPeers);
  CHECK(server.wait().code == ExitCode::kOk);
  CHECK(some.wait().code == ExitCode::kOk);
  const PeerShellReport report = others.wait();
  CHECK(report.rounds == 2 * 40);
  CHECK(report.swaps > 0);
  for (const char* kind : {"hello", "feedback", "staged", "transfer"}) {
    INFO(kind);
    REQUIRE(report.sent.contains(kind));
    CHECK(report.sent.at(kind) > 0);
  }
  CHECK(server.weights() == expected);
}

TEST_CASE("Discriminators that go by relay change no bit", "[shell]") {
  const std::string expected = undisturbed(40);
  const TemporaryDirectory directory;
  const bool some_listen = GENERATE(true, false);
  InProcessServer server(directory / "run", options_of(40));
  InProcessPeers some(server.context(), server.endpoint(), directory.path(), 0,
                      1, kPeers, some_listen);
  InProcessPeers others(server.context(), server.endpoint(), directory.path(),
                        2, 3, kPeers, false);
  CHECK(server.wait().code == ExitCode::kOk);
  CHECK(some.wait().code == ExitCode::kOk);
  const PeerShellReport report = others.wait();
  CHECK(report.rounds == 2 * 40);
  CHECK(report.swaps == 2 * 40);
  CHECK(server.weights() == expected);
  CHECK(server.log().find(" by relay") != std::string::npos);
  CHECK(server.log().find("aborted") == std::string::npos);
}

TEST_CASE("A late joiner that nobody can connect to gets its copy by relay",
          "[shell]") {
  const TemporaryDirectory directory;
  ServerOptions options = options_of(1'000'000);
  options.min_peers = 2;
  InProcessServer server(directory / "run", options);
  InProcessPeers first(server.context(), server.endpoint(), directory.path(), 0,
                       1, kPeers);
  REQUIRE(eventually([&] { return count_of(server.stats(), "\n") > 20; }));
  InProcessPeers late(server.context(), server.endpoint(), directory.path(), 2,
                      3, kPeers, false);
  CHECK(eventually(
      [&] { return count_of(server.log(), "has a copy of peer") == 2; }));
  CHECK(eventually([&] { return count_of(server.log(), "among 4") > 0; }));
  server.stop();
  CHECK(server.wait().code == ExitCode::kOk);
  CHECK(late.wait().swaps > 2);
}

TEST_CASE("A run that is resumed gives what an uninterrupted one gives",
          "[shell]") {
  const std::string expected = undisturbed(60);
  const TemporaryDirectory directory;
  for (const std::uint64_t rounds : {25U, 60U}) {
    InProcessServer server(directory / "run", options_of(rounds));
    InProcessPeers peers(server.context(), server.endpoint(), directory.path(),
                         0, kPeers - 1, kPeers);
    CHECK(server.wait().code == ExitCode::kOk);
    CHECK(peers.wait().code == ExitCode::kOk);
    if (rounds == 60) CHECK(server.weights() == expected);
  }
}

TEST_CASE("A run that is stopped at any round and resumed gives the same",
          "[shell]") {
  constexpr std::uint64_t kRounds = 300;
  const std::string expected = undisturbed(kRounds);
  const TemporaryDirectory directory;
  {
    InProcessServer server(directory / "run", options_of(kRounds));
    InProcessPeers peers(server.context(), server.endpoint(), directory.path(),
                         0, kPeers - 1, kPeers);
    CHECK(eventually([&] { return count_of(server.stats(), "\n") > 20; }));
    server.stop();
    CHECK(server.wait().code == ExitCode::kOk);
    CHECK(peers.wait().code == ExitCode::kOk);
  }
  InProcessServer server(directory / "run", options_of(kRounds));
  InProcessPeers peers(server.context(), server.endpoint(), directory.path(), 0,
                       kPeers - 1, kPeers);
  CHECK(server.wait().code == ExitCode::kOk);
  CHECK(server.weights() == expected);
}

TEST_CASE("Peers whose process is killed are missed and come back", "[shell]") {
  const TemporaryDirectory directory;
  const PeersToKill doomed(directory.path());
  InProcessServer server(directory / "run", options_of(1'000'000));
  doomed.connect_to(server.endpoint());
  InProcessPeers stay(server.context(), server.endpoint(), directory.path(), 0,
                      1, kPeers);
  REQUIRE(eventually([&] { return count_of(server.stats(), "\n") > 20; }));
  doomed.kill();
  REQUIRE(eventually(
      [&] { return count_of(server.log(), "connection lost") >= 2; }));
  InProcessPeers back(server.context(), server.endpoint(), directory.path(), 2,
                      3, kPeers);
  // What they missed they get from others: a copy of a discriminator.
  REQUIRE(eventually([&] { return count_of(server.log(), "4 live") >= 2; }));
  const std::size_t then = count_of(server.stats(), "\n");
  REQUIRE(
      eventually([&] { return count_of(server.stats(), "\n") > then + 20; }));
  server.stop();
  CHECK(server.wait().code == ExitCode::kOk);
  CHECK(stay.wait().code == ExitCode::kOk);
  const PeerShellReport report = back.wait();
  CHECK(report.code == ExitCode::kOk);
  CHECK(report.rounds > 0);
}

TEST_CASE(
    "A robust rule says once that it lacks answers, once that it has them",
    "[shell]") {
  const TemporaryDirectory directory;
  ServerOptions options = options_of(1'000'000);
  options.min_peers = 3;
  options.k = 1;
  options.swap_epochs = 0;
  options.samples_every = 0;
  options.aggregation.rule = aggregate_median;
  options.aggregation.parameters.hostile = 1;
  InProcessServer server(directory / "run", options);
  InProcessPeers stay(server.context(), server.endpoint(), directory.path(), 0,
                      1, 3);
  std::optional<InProcessPeers> third;
  const auto join = [&] {
    third.emplace(server.context(), server.endpoint(), directory.path(), 2U, 2U,
                  3U);
  };
  const auto goes_on = [&] {
    const auto rounds = [&] { return count_of(server.stats(), "\n"); };
    return eventually([&, then = rounds()] { return rounds() > then + 20; });
  };
  const auto told = [&](const std::string& text) {
    return count_of(server.log(), text);
  };
  const std::string lacks =
      ": 1 of the batches have fewer than the 3 answers that aggregate = "
      "median needs to bear 1 hostile peers";
  const std::string again = "are merged by aggregate = median again";
  join();
  REQUIRE(goes_on());
  CHECK(told(lacks) == 0);
  third.reset();  // leaves
  REQUIRE(eventually([&] { return told(lacks) > 0; }));
  CHECK(contains(line_with(server.log(), lacks),
                 {" warning round ", "by clip until peers come back"}));
  REQUIRE(goes_on());
  CHECK(told(lacks) == 1);
  CHECK(told(again) == 0);
  join();
  REQUIRE(eventually([&] { return told(again) > 0; }));
  REQUIRE(goes_on());
  CHECK(told(lacks) == 1);
  CHECK(told(again) == 1);
  server.stop();
  CHECK(server.wait().code == ExitCode::kOk);
}

// It takes the 10 s after which a peer says how far it is.
TEST_CASE("a peer that others can meddle with says so each time", "[shell]") {
  const TemporaryDirectory directory;
  ServerOptions options = options_of(1'000'000'000);
  options.min_peers = 1;
  options.stats_every = 10'000;
  options.samples_every = options.checkpoint_every = 0;
  InProcessServer server(directory / "run", options);
  const InsecurePeer trains(server.endpoint(), "trains", directory);
  // A server that lacks another peer. The process has one log.
  zmq::context_t context;
  std::string endpoint = kAnyPort;
  Socket router = make_bound_router(context, endpoint);
  const InsecurePeer waits(endpoint, "waits", directory);
  const std::string id = next_message(router).routing_id;
  protocol::Message message;
  message.body =
      protocol::Progress{protocol::Phase::kWaiting, options.rounds, 1, 2};
  REQUIRE(send(router, id, message) == Sent::kYes);
  for (const char* part :
       {" of 1000000000, ", "waiting for training to start: 1 of 2 peers"}) {
    std::string line;
    REQUIRE(eventually([&] {
      line = line_with(server.log(), part);
      return !line.empty();
    }));
    INFO(line);
    CHECK(line.ends_with("  INSECURE"));
  }
}

TEST_CASE("a peer that is stopped leaves the code that it ends with") {
  const TemporaryDirectory directory;
  InProcessServer server(directory / "run", options_of(100'000));
  InProcessPeers peers(server.context(), server.endpoint(), directory.path(), 0,
                       kPeers - 1, kPeers);
  REQUIRE(eventually([&] { return count_of(server.stats(), "\n") > 2; }));
  peers.stop(ExitCode::kStopped);
  CHECK(peers.wait().code == ExitCode::kStopped);
  PeerStatusOptions options;
  options.state_dir = directory.path().string();
  options.name = "peer-1";
  const auto text = show_status(options);
  REQUIRE(text);
  CHECK(contains(*text, {"exit code 10"}));
  server.stop();
  (void)server.wait();
}

TEST_CASE("a peer whose arithmetic says why it fails ends with that code") {
  const TemporaryDirectory directory;
  InProcessServer server(directory / "run", options_of(100'000));
  PeerArithmetic full = peer_arithmetic();
  full.make_trainer =
      [](const auto&...) -> Result<std::unique_ptr<PeerTrainer>> {
    throw ErrorException({"the memory is full", ExitCode::kConfiguration});
  };
  InProcessPeers peers(server.context(), server.endpoint(), directory.path(), 0,
                       kPeers - 1, kPeers, true, small_images(), full);
  const PeerShellReport report = peers.wait();
  CHECK(report.code == ExitCode::kConfiguration);
  CHECK(contains(report.text, {"the memory is full"}));
  server.stop();
  (void)server.wait();
}

TEST_CASE("each peer leaves a status.json with what it did and what left it") {
  const TemporaryDirectory directory;
  {
    InProcessServer server(directory / "run", options_of(20));
    InProcessPeers peers(server.context(), server.endpoint(), directory.path(),
                         0, kPeers - 1, kPeers);
    REQUIRE(server.wait().code == ExitCode::kOk);
    REQUIRE(peers.wait().code == ExitCode::kOk);
  }
  PeerStatusOptions options;
  options.state_dir = directory.path().string();
  options.name = "peer-2";
  const auto text = show_status(options);
  REQUIRE(text);
  CHECK(contains(*text, {"ended with exit code 0 after round 20", "peer peer-2",
                         "10 images", "feedback"}));
  options.json = true;
  const auto json = show_status(options);
  REQUIRE(json);
  INFO(*json);
  CHECK(contains(*json, {"\"rounds\":20", "\"code\":0"}));
  options.name.clear();
  CHECK(show_status(options));
  options.name = "nobody";
  CHECK_FALSE(show_status(options));
}

}  // namespace mdgan::test
