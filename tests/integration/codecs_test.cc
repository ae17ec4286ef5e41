// Small codecs over real sockets: who agrees on them, who does not, and that
// what arrives in them is checked like everything else.
#include <limits>
#include <string>
#include <vector>

#include "common/tensor/quantise.h"
#include "tests/support/catch.h"
#include "tests/support/in_process_run.h"
#include "tests/support/link.h"
#include "tests/support/raw_peer.h"
#include "tests/support/temporary_directory.h"

namespace mdgan::test {

using protocol::Message;

namespace {

const TensorCodecs kSmall{ImageCodec::kUint8, FeedbackCodec::kInt8,
                          SwapCodec::kBfloat16};

ServerOptions options_with(const TensorCodecs& codecs) {
  ServerOptions options = small_options();
  options.codecs = codecs;
  return options;
}

// The generator that two local peers train.
std::string local_weights(const ServerOptions& options) {
  const TemporaryDirectory directory;
  InProcessServer server(directory / "run", options);
  InProcessPeers peers(server.context(), kLocalEndpoint, directory.path(), 0, 1,
                       2);
  const Finish finish = server.wait();
  INFO(finish.text);
  REQUIRE(finish.code == ExitCode::kOk);
  const PeerShellReport report = peers.wait();
  INFO(report.text);
  REQUIRE(report.code == ExitCode::kOk);
  CHECK(report.swaps == 8);
  INFO(server.log());
  CHECK(server.log().find("aborted") == std::string::npos);
  return server.weights();
}

// The same over tcp, each peer in a host of its own.
std::string tcp_weights(ServerOptions options) {
  const TemporaryDirectory directory;
  options.bind = kAnyPort;
  InProcessServer server(directory / "run", options);
  zmq::context_t context;
  InProcessPeers first(context, server.endpoint(), directory.path(), 0, 0, 2);
  InProcessPeers second(context, server.endpoint(), directory.path(), 1, 1, 2);
  REQUIRE(server.wait().code == ExitCode::kOk);
  CHECK(first.wait().swaps == 4);
  CHECK(second.wait().swaps == 4);
  return server.weights();
}

}  // namespace

TEST_CASE("every codec trains, alike over tcp, and unlike float32",
          "[integration]") {
  const std::string exact = local_weights(options_with({}));
  for (const TensorCodecs& codecs :
       {kSmall, TensorCodecs{.image = ImageCodec::kUint8},
        TensorCodecs{.feedback = FeedbackCodec::kBfloat16},
        TensorCodecs{.feedback = FeedbackCodec::kInt8},
        TensorCodecs{.swap = SwapCodec::kBfloat16}}) {
    const auto names = protocol::codec_names(codecs);
    INFO(names.size() << " codecs, the first is " << names[0]);
    const std::string weights = local_weights(options_with(codecs));
    CHECK((weights != exact));
    CHECK((weights == tcp_weights(options_with(codecs))));
  }
}

TEST_CASE("a peer without the run's codec is told so", "[integration]") {
  const TemporaryDirectory directory;
  ServerOptions options = options_with(kSmall);
  options.bind = kAnyPort;
  InProcessServer server(directory / "run", options);
  zmq::context_t context;
  RawPeer old(context, server.endpoint());
  old.hello("old", small_images()->shape, {"image-uint8"});
  const auto refusal = old.next_error();
  CHECK(refusal.code == protocol::ErrorCode::kMismatch);
  CHECK(refusal.text.find("feedback-int8") != std::string::npos);
  CHECK(refusal.text.find("peer old") != std::string::npos);
}

TEST_CASE("a peer leaves a server whose codec it does not know",
          "[integration]") {
  Hub hub;
  const TemporaryDirectory directory;
  InProcessPeers peers(hub.context, hub.endpoint(), directory.path(), 0, 0, 1);
  const Received hello = next_message(hub.router);
  REQUIRE(hello.message.ok());
  std::vector<std::string> abilities = protocol::known_abilities();
  abilities.emplace_back(protocol::kLongFrames);  // the hub is on this machine
  CHECK(std::get<protocol::Hello>(hello.message->body).abilities == abilities);
  protocol::Welcome welcome;
  welcome.spec.model = "mlp";
  welcome.spec.image = small_images()->shape;
  welcome.parameters = 1;
  welcome.codecs = {"image-of-tomorrow"};
  Message message;
  message.run[0] = std::byte{1};
  message.body = welcome;
  REQUIRE(send(hub.router, hello.routing_id, message) == Sent::kYes);
  const PeerShellReport report = peers.wait();
  CHECK(report.code == ExitCode::kConfiguration);
  CHECK(report.text.find("'image-of-tomorrow'") != std::string::npos);
}

TEST_CASE("a batch is cut into frames as its peer asks", "[integration]") {
  ServerOptions options = options_with({});
  options.bind = kAnyPort;
  options.min_peers = 1;
  options.batch = 20'000;
  const std::size_t bytes = options.batch * small_images()->shape.values() * 4;
  REQUIRE(bytes > protocol::kFrameBytes + protocol::kMaxEnvelopeBytes);
  const std::size_t rest = bytes - protocol::kFrameBytes;
  const auto cut = [&](std::vector<std::string> abilities) {
    const TemporaryDirectory directory;
    InProcessServer server(directory / "run", options);
    zmq::context_t context;
    RawPeer peer(context, server.endpoint());
    peer.hello("ann", small_images()->shape, std::move(abilities));
    std::vector<std::size_t> sizes;
    std::size_t sum = 0;
    for (int i = 0; i < 20 && sum < bytes; ++i) {
      const std::size_t size = peer.next_size();
      if (size <= protocol::kMaxEnvelopeBytes) continue;
      sizes.push_back(size);
      sum += size;
    }
    return sizes;
  };
  CHECK(cut({}) == std::vector<std::size_t>{protocol::kFrameBytes, rest});
  CHECK(cut({std::string(protocol::kLongFrames)}) ==
        std::vector<std::size_t>{bytes});
}

namespace {

Blob int8_of(std::vector<std::uint64_t> dims) {
  NewBlob blob = make_blob({protocol::DType::kInt8, std::move(dims)});
  std::ranges::fill(blob.bytes, std::byte{127});
  return blob.blob;
}

// All that a feedback of int8 values must not be.
std::vector<std::vector<Blob>> rubbish() {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  const Blob values = int8_of({4, 1, 4, 4});
  const Blob floats = constant_floats({4, 1, 4, 4}, 0.25F);
  Blob bytes = values;
  bytes.meta.dtype = protocol::DType::kUint8;
  const auto each = [](float value) { return constant_floats({4}, value); };
  return {
      {values, each(0), each(nan)},
      {values, each(0), each(infinity)},
      {values, each(0), each(1e4F)},  // 127 times that is beyond 1e6
      {values, each(nan), each(1)},
      {values, each(0)},
      {values, each(0), constant_floats({3}, 1)},
      {floats, each(0), each(1)},
      {floats, each(0)},
      {to_bfloat16(floats), each(0)},
      {bytes, each(0), each(1)},
      {int8_of({4, 4, 4}), each(0), each(1)},
      {},
  };
}

}  // namespace

TEST_CASE("feedback in int8 that is none changes nothing", "[integration]") {
  // A peer is set aside for its fifth.
  const auto first = GENERATE(as<std::size_t>(), 0, 4, 8);
  const std::size_t end = std::min(first + 4, rubbish().size());
  if (first >= end) return;
  ServerOptions options = options_with(kSmall);
  options.swap_epochs = 0;
  options.rounds = end - first;
  std::string expected;
  {
    const TemporaryDirectory directory;
    InProcessServer server(directory / "run", options);
    InProcessPeers peers(server.context(), kLocalEndpoint, directory.path(), 0,
                         1, 2);
    REQUIRE(server.wait().code == ExitCode::kOk);
    expected = server.weights();
  }
  const TemporaryDirectory directory;
  options.bind = kAnyPort;
  options.min_peers = 3;
  InProcessServer server(directory / "run", options);
  InProcessPeers peers(server.context(), kLocalEndpoint, directory.path(), 0, 1,
                       2);
  zmq::context_t context;
  RawPeer hostile(context, server.endpoint());
  hostile.hello("hostile", small_images()->shape, protocol::known_codecs());
  std::size_t answered = 0;
  for (bool over = false; !over;) {
    const Message message = hostile.next();
    if (const auto* batch = std::get_if<protocol::Batch>(&message.body)) {
      REQUIRE(batch->tensors.size() == 1);
      CHECK(batch->tensors[0].dtype == protocol::DType::kUint8);
    }
    if (const auto* round = std::get_if<protocol::RoundBegin>(&message.body))
      hostile.say_feedback(message, round->generated,
                           rubbish().at(first + answered++));
    over = std::holds_alternative<protocol::Goodbye>(message.body);
  }
  CHECK(server.wait().code == ExitCode::kOk);
  CHECK(answered == end - first);
  INFO(server.log());
  CHECK((server.weights() == expected));
}

}  // namespace mdgan::test
