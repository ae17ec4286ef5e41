// Server and peers in one process over real sockets, left alone and disturbed.
#include <cmath>
#include <filesystem>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "common/files/checkpoint_store.h"
#include "tests/support/catch.h"
#include "tests/support/contains.h"
#include "tests/support/in_process_run.h"
#include "tests/support/raw_peer.h"
#include "tests/support/temporary_directory.h"

namespace mdgan::test {

using protocol::ErrorCode;
using protocol::Message;
namespace fs = std::filesystem;

TEST_CASE("A run within a process ends well", "[integration]") {
  const TemporaryDirectory directory;
  InProcessServer server(directory / "run", small_options());
  CHECK(server.endpoint().empty());
  InProcessPeers peers(server.context(), kLocalEndpoint, directory.path(), 0, 1,
                       2);
  const Finish finish = server.wait();
  CHECK(finish.code == ExitCode::kOk);
  const PeerShellReport report = peers.wait();
  CHECK(report.code == ExitCode::kOk);
  CHECK(report.rounds == 2 * small_options().rounds);
  CHECK(report.swaps == 2 * kSmallSwaps);
  INFO(server.log());
  CHECK(count_of(server.log(), "among 2 peers") == kSmallSwaps);
  CHECK_FALSE(server.weights().empty());
}

TEST_CASE("A picture and a checkpoint of every round change nothing",
          "[integration]") {
  const std::string expected = undisturbed_weights(small_options());
  const TemporaryDirectory directory;
  ServerOptions options = small_options();
  options.samples_every = 1;
  options.checkpoint_every = 1;
  options.keep_last = 16;
  InProcessServer server(directory / "run", options);
  InProcessPeers peers(server.context(), kLocalEndpoint, directory.path(), 0, 1,
                       2);
  CHECK(server.wait().code == ExitCode::kOk);
  // All on the disk by now, though they were made beside the training.
  for (std::uint64_t round = 1; round <= options.rounds; ++round) {
    const std::string name = std::to_string(round);
    INFO("round " << name);
    CHECK(
        fs::exists(directory / "run" / "samples" / ("00000" + name + ".png")));
    CHECK(CheckpointStore(directory / "run" / "checkpoints", 1, 0)
              .load({round})
              .ok());
  }
  CHECK(server.weights() == expected);
}

TEST_CASE("Over tcp the same run gives the same generator", "[integration]") {
  const TemporaryDirectory directory;
  ServerOptions options = small_options();
  options.bind = kAnyPort;
  InProcessServer server(directory / "run", options);
  CHECK(server.endpoint().starts_with("tcp://127.0.0.1:"));
  zmq::context_t context;
  InProcessPeers first(context, server.endpoint(), directory.path(), 0, 0, 2);
  InProcessPeers second(context, server.endpoint(), directory.path(), 1, 1, 2);
  CHECK(server.wait().code == ExitCode::kOk);
  for (InProcessPeers* peers : {&first, &second}) {
    const PeerShellReport report = peers->wait();
    CHECK(report.code == ExitCode::kOk);
    CHECK(report.rounds == options.rounds);
    CHECK(report.swaps == kSmallSwaps);
  }
  CHECK((server.weights() == undisturbed_weights(small_options())));
}

namespace {

constexpr std::size_t kRubbish = 12;  // kinds

// Answers one round with everything that must not count; the header is right.
void answer_with_rubbish(RawPeer& peer, const Message& asked,
                         std::size_t kind) {
  const std::uint32_t generated =
      std::get<protocol::RoundBegin>(asked.body).generated;
  const std::vector<Blob> valid{constant_floats({4, 1, 4, 4}, 0.25F),
                                constant_floats({4}, 0)};
  const auto with = [&](const std::function<void(Message&)>& change) {
    Message message = asked;
    change(message);
    peer.say_feedback(message, generated, valid);
  };
  with([](Message& m) { m.peer = PeerId{0}; });
  with([](Message& m) { m.run[0] ^= std::byte{1}; });
  with([](Message& m) { ++m.incarnation; });
  with([](Message& m) { --m.incarnation; });  // from before a restart
  with([](Message& m) { m.round.value += 1000; });
  with([](Message& m) { m.round.value = 0; });
  peer.say_feedback(asked, generated + 1, valid);

  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<std::vector<Blob>> answers{
      {constant_floats({4, 1, 4, 4}, nan), valid[1]},
      {constant_floats({4, 1, 4, 4}, -infinity), valid[1]},
      {valid[0], constant_floats({4}, nan)},
      {constant_floats({4, 1, 4, 5}, 0.25F), valid[1]},
      {constant_floats({64}, 0.25F), valid[1]},
      {valid[0]},
      {},
      {valid[1], valid[0]},
  };
  switch (kind) {
    case 8:
      peer.say_feedback(asked, generated, valid, std::nan(""));
      break;
    case 9:
      peer.say_feedback(asked, generated, valid, 0, -1);
      break;
    case 10:  // finite, but Adam would remember it for thousands of rounds
    case 11:
      peer.say_feedback(
          asked, generated,
          {constant_floats({4, 1, 4, 4}, kind == 10 ? 1e5F : -1e3F), valid[1]});
      break;
    default:
      peer.say_feedback(asked, generated, answers.at(kind));
  }
  // Too late to be better.
  peer.say_feedback(asked, generated, valid);
  peer.say_feedback(asked, generated, valid);
}

}  // namespace

TEST_CASE("Feedback that is not an answer changes nothing", "[integration]") {
  // A peer is set aside for its fifth.
  const auto first = GENERATE(as<std::size_t>(), 0, 4, 8);
  const std::size_t end = std::min(first + 4, kRubbish);
  ServerOptions options = small_options();
  options.rounds = end - first;
  options.swap_epochs = 0;
  const std::string expected = undisturbed_weights(options);

  const TemporaryDirectory directory;
  options.bind = kAnyPort;
  options.min_peers = 3;
  InProcessServer server(directory / "run", options);
  InProcessPeers peers(server.context(), kLocalEndpoint, directory.path(), 0, 1,
                       2);
  zmq::context_t context;
  const ImageShape image = small_images()->shape;

  RawPeer misfit(context, server.endpoint());
  misfit.hello("misfit", {1, 5, 4, 3});
  const auto mismatch = misfit.next_error();
  CHECK(mismatch.code == ErrorCode::kMismatch);
  CHECK(mismatch.text.find("1x4x4") != std::string::npos);

  RawPeer hostile(context, server.endpoint());
  hostile.hello("hostile", image);
  std::uint64_t rounds = 0;
  std::uint64_t unknown = 0;
  std::uint64_t breaches = 0;
  for (bool over = false; !over;) {
    const Message message = hostile.next();
    if (std::holds_alternative<protocol::RoundBegin>(message.body)) {
      if (++rounds == 1) {
        RawPeer thief(context, server.endpoint());
        thief.hello("peer-0", image);
        CHECK(thief.next_error().code == ErrorCode::kNameInUse);
      }
      answer_with_rubbish(hostile, message, first + rounds - 1);
    }
    if (const auto* error = std::get_if<protocol::ErrorReply>(&message.body)) {
      ++(error->code == ErrorCode::kUnknownPeer ? unknown : breaches);
    }
    over = std::holds_alternative<protocol::Goodbye>(message.body);
  }
  CHECK(server.wait().code == ExitCode::kOk);
  const PeerShellReport report = peers.wait();
  CHECK(report.code == ExitCode::kOk);
  CHECK(report.rounds == 2 * options.rounds);
  CHECK(rounds == options.rounds);
  CHECK(unknown == 4 * rounds);  // other peer, run, two incarnations
  CHECK(breaches == rounds);     // a round that is yet to come
  const std::string log = server.log();
  const auto of_kinds = [&](std::size_t low, std::size_t high) {
    low = std::max(low, first);
    high = std::min(high, end);
    return high > low ? high - low : 0;
  };
  CHECK(count_of(log,
                 "peer hostile is not used: it holds values that are not "
                 "finite") == of_kinds(0, 3));
  CHECK(count_of(log,
                 "peer hostile is not used: its tensors have other "
                 "shapes") == of_kinds(3, 8));
  CHECK(count_of(log, ", expected float32 4x1x4x4, float32 4") ==
        of_kinds(3, 8));
  // What was got stands beside it.
  const std::vector<std::string> got{"float32 4x1x4x5, float32 4",
                                     "float32 64, float32 4", "float32 4x1x4x4",
                                     "no tensor", "float32 4, float32 4x1x4x4"};
  for (std::size_t i = 0; i < got.size(); ++i) {
    INFO(got[i]);
    CHECK(count_of(log, "than this round's: " + got[i] + ", expected ") ==
          of_kinds(3 + i, 4 + i));
  }
  CHECK(count_of(log,
                 "peer hostile is not used: it is far longer than the "
                 "others'") == of_kinds(10, 12));
  CHECK((server.weights() == expected));
}

}  // namespace mdgan::test
