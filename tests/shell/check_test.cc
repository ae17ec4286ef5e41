// What `mdgan-peer check` says of servers that do and do not take the peer.
#include "peer/check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <stop_token>
#include <string>
#include <thread>

#include "common/files/file_descriptor.h"
#include "common/keys/key_file.h"
#include "protocol/codec.h"
#include "tests/support/catch.h"
#include "tests/support/child_process.h"
#include "tests/support/contains.h"
#include "tests/support/idx_text.h"
#include "tests/support/in_process_run.h"
#include "tests/support/link.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/text_file.h"

namespace mdgan::test {
namespace {

struct Checked {
  ExitCode code = ExitCode::kOk;
  std::map<std::string, std::string, std::less<>> passed;
  std::map<std::string, std::string, std::less<>> failed;
};

// With images of one value; the server is on this machine.
class Checks {
 public:
  Checks() {
    write_text(folder_ / "train-images-idx3-ubyte", idx_images(40, 2, 2, 160));
    write_text(folder_ / "train-labels-idx1-ubyte",
               idx_labels(40, std::string(40, '\0')));
    options.peer.data = folder_.path().string();
    options.batch = 4;
  }
  Checked run() const {
    Checked found;
    const CheckArithmetic arithmetic{
        [] { return Result<void>(); }, peer_arithmetic(),
        [](const HeldOut& held) -> Result<void> {
          if (held.classifier.bytes.size() > 4) return {};
          return Error{"it is no classifier", ExitCode::kConfiguration};
        }};
    found.code =
        check(options, "here", arithmetic,
              [&](std::string_view part, const Result<std::string>& said) {
                auto& into = said ? found.passed : found.failed;
                into.emplace(part, said ? *said : said.error().message);
              });
    return found;
  }

  PeerCheckOptions options;

 private:
  TemporaryDirectory folder_;
};

// A port of this machine that nobody else gets, and nobody listens at.
class TakenPort {
 public:
  TakenPort() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    REQUIRE(::bind(socket_.get(), generic, size) == 0);
    REQUIRE(::getsockname(socket_.get(), generic, &size) == 0);
    number_ = std::to_string(ntohs(address.sin_port));
  }
  const std::string& number() const { return number_; }

 private:
  FileDescriptor socket_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  std::string number_;
};

ServerOptions open_server() {
  ServerOptions options = small_options();
  options.bind = "tcp://127.0.0.1:*";
  return options;
}

}  // namespace

TEST_CASE("A check of a peer that would work says so and joins nothing",
          "[shell]") {
  TemporaryDirectory folder;
  const InProcessServer server(folder / "run", open_server());
  Checks t;
  t.options.peer.server = server.endpoint();
  const Checked found = t.run();
  CHECK(found.code == ExitCode::kOk);
  CHECK(found.failed.empty());
  for (const char* part : {"name", "connection", "keys", "version", "link",
                           "data", "device", "speed", "round"})
    CHECK(found.passed.count(part) == 1);
  CHECK(has(found.passed.at("data"), "40 images of 1x2x2"));
  // Twice 4 images of 4 values and as many of F, with a logit each.
  CHECK(has(found.passed.at("round"), "for 128 B and back 80 B"));
  CHECK(server.log().find("here") == std::string::npos);
  CHECK(server.log().find("warning") == std::string::npos);
}

TEST_CASE("A check says what is wrong with the server, and goes on",
          "[shell]") {
  Checks t;
  SECTION("nobody listens") {
    const TakenPort port;
    t.options.peer.server = "tcp://127.0.0.1:" + port.number();
    const Checked found = t.run();
    CHECK(found.code == ExitCode::kUnreachable);
    CHECK(has(found.failed.at("connection"), "nobody listens there"));
  }
  SECTION("no such name") {
    t.options.peer.server = "tcp://nowhere.invalid:5555";
    const Checked found = t.run();
    CHECK(found.code == ExitCode::kUnreachable);
    CHECK(has(found.failed.at("name"), "is the name in --server right?"));
  }
  SECTION("a server that lets in peers with keys alone") {
    TemporaryDirectory folder;
    ServerOptions options = open_server();
    options.key = (folder / "server.key").string();
    REQUIRE(write_key_pair(options.key, make_key_pair(), "").ok());
    write_text(folder / "authorized_peers", "");
    const InProcessServer server(folder / "run", options);
    t.options.peer.server = server.endpoint();
    const Checked found = t.run();
    CHECK(found.code == ExitCode::kAuthentication);
    CHECK(has(found.failed.at("keys"), "mdgan-peer keygen"));
    CHECK(found.passed.count("version") == 0);
    // What needs no server is checked all the same.
    CHECK(found.passed.count("data") == 1);
    CHECK(found.passed.count("speed") == 1);
    CHECK(found.passed.count("round") == 0);
  }
  SECTION("a server of another version") {
    zmq::context_t context;
    std::string endpoint = kAnyPort;
    Socket router = make_bound_router(context, endpoint);
    t.options.peer.server = endpoint;
    std::jthread answers([&](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        zmq::pollitem_t items[] = {{router.handle(), 0, ZMQ_POLLIN, 0}};
        wait_readable(items, std::chrono::milliseconds(50));
        const auto asked = receive(router);
        if (!asked) continue;
        protocol::Message reply;
        reply.body = protocol::ErrorReply{protocol::ErrorCode::kVersion,
                                          "it speaks 4.0"};
        (void)send(router, asked->routing_id, reply);
      }
    });
    const Checked found = t.run();
    CHECK(found.code == ExitCode::kConfiguration);
    CHECK(has(found.failed.at("version"), "it speaks 4.0"));
  }
}

TEST_CASE("A check of data that will not do names it, with code 6", "[shell]") {
  TemporaryDirectory folder;
  const InProcessServer server(folder / "run", open_server());
  Checks t;
  t.options.peer.server = server.endpoint();
  SECTION("too few images") {
    t.options.batch = 41;
    const Checked found = t.run();
    CHECK(found.code == ExitCode::kData);
    CHECK(has(found.failed.at("data"), "has 40 images, fewer than a batch"));
  }
  SECTION("no images") {
    t.options.peer.data = (folder / "run").string();
    const Checked found = t.run();
    CHECK(found.code == ExitCode::kData);
    CHECK(found.passed.count("link") == 1);
  }
}

TEST_CASE("A check looks at what a peer would measure with", "[shell]") {
  TemporaryDirectory folder;
  const InProcessServer server(folder / "run", open_server());
  Checks t;
  t.options.peer.server = server.endpoint();
  t.options.peer.evaluate_data = t.options.peer.data;
  t.options.peer.evaluate_classifier = (folder / "none").string();
  const Checked trained_on = t.run();
  CHECK(trained_on.code == ExitCode::kData);
  CHECK(has(trained_on.failed.at("held out"), "into another folder"));

  std::filesystem::create_directories(folder / "more");
  write_text(folder / "more/train-images-idx3-ubyte",
             idx_images(30, 2, 2, 120));
  write_text(folder / "more/train-labels-idx1-ubyte",
             idx_labels(30, std::string(30, '\0')));
  t.options.peer.evaluate_data = (folder / "more").string();
  const Checked no_file = t.run();
  CHECK(no_file.code == ExitCode::kConfiguration);
  CHECK(has(no_file.failed.at("held out"), "none"));
  write_text(folder / "none", "junk");
  const Checked junk = t.run();
  CHECK(junk.code == ExitCode::kConfiguration);
  CHECK(has(junk.failed.at("held out"), "no classifier"));
  write_text(folder / "none", "a classifier");
  const Checked good = t.run();
  CHECK(good.code == ExitCode::kOk);
  CHECK(has(good.passed.at("held out"), "30 images to measure"));
}

}  // namespace mdgan::test
