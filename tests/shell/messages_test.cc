// What the shells answer to those who speak otherwise, and what they log of it.
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <sstream>
#include <string>

#include "common/net/complaints.h"
#include "tests/support/catch.h"
#include "tests/support/contains.h"
#include "tests/support/in_process_run.h"
#include "tests/support/link.h"
#include "tests/support/raw_peer.h"
#include "tests/support/temporary_directory.h"

namespace mdgan::test {

using namespace std::chrono_literals;
using protocol::ErrorCode;

namespace {

// A greeting of which one number is another: an envelope is an array of eight,
// of which the first three are the version's two numbers and the type.
Frame greeting_with(std::size_t field, std::uint8_t value) {
  Frame envelope = protocol::encode(greeting());
  REQUIRE(envelope[0] == std::byte{0x98});
  REQUIRE(value < 128);  // as msgpack's shortest integer
  envelope.at(1 + field) = std::byte{value};
  return envelope;
}

// A message of a type that the next minor version may add.
Frame message_of_next_minor() {
  Frame envelope = greeting_with(2, 99);
  envelope.at(2) = std::byte{protocol::kMinor + 1};
  return envelope;
}

protocol::Message hello_of_peer() {
  protocol::Hello hello;
  hello.name = "peer";
  hello.shard_size = 20'000;
  hello.image = small_images()->shape;
  hello.endpoint = "tcp://127.0.0.1:1";
  protocol::Message message;
  message.body = hello;
  return message;
}

// An answer to `begin`, which came in `asked`.
void answer(Socket& peer, const protocol::Message& asked,
            const protocol::RoundBegin& begin) {
  const std::vector<Blob> tensors{constant_floats({4, 1, 4, 4}, 0.25F),
                                  constant_floats({4}, 0)};
  protocol::Feedback feedback;
  feedback.generated = begin.generated;
  for (const Blob& tensor : tensors) feedback.tensors.push_back(tensor.meta);
  protocol::Message message = asked;
  message.body = feedback;
  TensorFrames frames(tensors);
  REQUIRE(send(peer, "", message, &frames) == Sent::kYes);
}

std::string version_of(std::uint32_t number) {
  return std::to_string(number) + ".";
}

protocol::ErrorReply error_in(const Received& received) {
  REQUIRE(received.message.ok());
  const auto* error =
      std::get_if<protocol::ErrorReply>(&received.message->body);
  REQUIRE(error != nullptr);
  return *error;
}

ServerOptions options_of(std::uint64_t rounds) {
  ServerOptions options = small_options();
  options.rounds = rounds;
  options.min_peers = 1;
  options.bind = kAnyPort;
  return options;
}

}  // namespace

TEST_CASE("fault 25: an unknown message is answered once, and ignored",
          "[shell]") {
  const TemporaryDirectory directory;
  InProcessServer server(directory / "run", options_of(1));
  zmq::context_t context;
  Socket peer = make_link(context, server.endpoint());
  for (int i = 0; i < 3; ++i) send_frames(peer, {greeting_with(2, 99)});
  const protocol::ErrorReply error = error_in(next_message(peer));
  CHECK(error.code == ErrorCode::kMalformed);
  CHECK(has(error.text, "unknown message type 99"));
  // The connection goes on: the next answer is that to the hello.
  REQUIRE(send(peer, "", hello_of_peer()) == Sent::kYes);
  const Received welcome = next_message(peer);
  REQUIRE(welcome.message.ok());
  CHECK(std::holds_alternative<protocol::Welcome>(welcome.message->body));
}

TEST_CASE("fault 25: what a later minor version adds ends no session",
          "[shell]") {
  constexpr std::uint64_t kRounds = 5;
  const TemporaryDirectory directory;
  InProcessServer server(directory / "run", options_of(kRounds));
  zmq::context_t context;
  Socket peer = make_link(context, server.endpoint());
  send_frames(peer, {message_of_next_minor()});
  REQUIRE(send(peer, "", hello_of_peer()) == Sent::kYes);
  std::uint64_t rounds = 0;
  std::size_t errors = 0;
  for (bool over = false; !over;) {
    const Received received = next_message(peer);
    REQUIRE(received.message.ok());
    const protocol::Body& body = received.message->body;
    if (const auto* begin = std::get_if<protocol::RoundBegin>(&body)) {
      ++rounds;
      send_frames(peer, {message_of_next_minor()});
      answer(peer, *received.message, *begin);
      send_frames(peer, {message_of_next_minor()});
    }
    if (std::holds_alternative<protocol::ErrorReply>(body)) ++errors;
    over = std::holds_alternative<protocol::Goodbye>(body);
  }
  CHECK(rounds == kRounds);
  CHECK(errors <= 1);
  CHECK(server.wait().code == ExitCode::kOk);
}

TEST_CASE("without keys a connection brings the peers of one process",
          "[shell]") {
  const TemporaryDirectory directory;
  ServerOptions options = options_of(1);
  options.min_peers = 8;
  InProcessServer server(directory / "run", options);
  zmq::context_t context;
  RawPeer process(context, server.endpoint());
  for (const char* name : {"ann-0", "ann-12", "ann"}) {
    process.hello(name, small_images()->shape);
    CHECK(std::holds_alternative<protocol::Welcome>(process.next().body));
  }
  for (const char* name : {"bob", "bob-1", "anna-1"}) {
    process.hello(name, small_images()->shape);
    const protocol::ErrorReply error = process.next_error();
    CHECK(error.code == ErrorCode::kMismatch);
    CHECK(contains(error.text, {"has brought the peer ann-0"}));
  }
  RawPeer another(context, server.endpoint());
  another.hello("bob", small_images()->shape);
  CHECK(std::holds_alternative<protocol::Welcome>(another.next().body));
}

TEST_CASE("fault 25: what a peer may not send is answered, and ignored",
          "[shell]") {
  const TemporaryDirectory directory;
  InProcessServer server(directory / "run", options_of(1'000'000));
  zmq::context_t context;
  RawPeer peer(context, server.endpoint());
  peer.hello("peer", small_images()->shape);
  protocol::Message message = peer.next();
  REQUIRE(std::holds_alternative<protocol::Welcome>(message.body));
  message.body = protocol::Commit{{1}};
  peer.say(message);
  const protocol::ErrorReply error = peer.next_error();
  CHECK(error.code == ErrorCode::kState);
  CHECK_FALSE(has(server.log(), "lost"));
}

TEST_CASE("fault 26: a peer of another major version is told both", "[shell]") {
  const TemporaryDirectory directory;
  InProcessServer server(directory / "run", options_of(1));
  zmq::context_t context;
  Socket peer = make_link(context, server.endpoint());
  send_frames(peer, {greeting_with(0, protocol::kMajor + 1)});
  const protocol::ErrorReply error = error_in(next_message(peer));
  CHECK(error.code == ErrorCode::kVersion);
  CHECK(has(error.text, version_of(protocol::kMajor)));
  CHECK(has(error.text, version_of(protocol::kMajor + 1)));
  // Whoever runs the server reads the same.
  CHECK(has(server.log(), "127.0.0.1: unreadable message: " + error.text));
}

TEST_CASE("fault 26: a peer of a server of another major version ends with 3",
          "[shell]") {
  const bool server_tells = GENERATE(true, false);
  const TemporaryDirectory directory;
  zmq::context_t context;
  std::string endpoint = kAnyPort;
  Socket router = make_bound_router(context, endpoint);
  InProcessPeers peers(context, endpoint, directory.path(), 0, 0, 1);
  const std::string id = next_message(router).routing_id;
  router.send(zmq::buffer(id), zmq::send_flags::sndmore);
  if (server_tells) {
    // A server of another version answers so if it still writes our envelope.
    protocol::Message refusal;
    refusal.body =
        protocol::ErrorReply{ErrorCode::kVersion, "2.0 is not 1.0", 0};
    send_frames(router, {protocol::encode(refusal)});
  } else {
    send_frames(router, {greeting_with(0, protocol::kMajor + 1)});
  }
  const PeerShellReport report = peers.wait();
  CHECK(report.code == ExitCode::kConfiguration);
  CHECK(has(report.text, server_tells ? "2.0 is not 1.0"
                                      : version_of(protocol::kMajor + 1)));
}

TEST_CASE("fault 22: a hundred unreadable messages are one line of the log",
          "[shell]") {
  const TemporaryDirectory directory;
  InProcessServer server(directory / "run", options_of(1));
  zmq::context_t context;
  Socket peer = make_link(context, server.endpoint());
  send_frames(peer, std::vector<Frame>(100, Frame(10, std::byte{0xc1})));
  // It comes after them: they have been read when it is answered.
  REQUIRE(send(peer, "", hello_of_peer()) == Sent::kYes);
  CHECK(error_in(next_message(peer)).code == ErrorCode::kMalformed);
  const Received welcome = next_message(peer);
  REQUIRE(welcome.message.ok());
  CHECK(std::holds_alternative<protocol::Welcome>(welcome.message->body));
  CHECK(count_of(server.log(), "127.0.0.1: unreadable message: ") == 1);
}

TEST_CASE("fault 22: who sends rubbish is complained of once a minute") {
  std::ostringstream log;
  const auto before = spdlog::default_logger();
  spdlog::set_default_logger(std::make_shared<spdlog::logger>(
      "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(log)));
  const auto count = [&](const std::string& part) {
    std::size_t found = 0;
    const std::string text = log.str();
    for (auto at = text.find(part); at != text.npos;
         at = text.find(part, at + 1))
      ++found;
    return found;
  };
  Complaints complaints;
  const TimePoint start{1h};
  for (int i = 0; i < 1000; ++i) complaints.warn("a", "rubbish", start);
  CHECK(count("a: rubbish") == 1);
  for (int i = 0; i < 1000; ++i)
    complaints.warn("stranger-" + std::to_string(i), "rubbish", start + 1s);
  CHECK(count("rubbish") == 20);  // whoever they are
  complaints.flush(start + 60s);
  CHECK(count("1980 more complaints") == 1);
  complaints.warn("a", "rubbish", start + 61s);
  CHECK(count("a: rubbish") == 2);
  spdlog::set_default_logger(before);
}

}  // namespace mdgan::test
