// Discriminators that strangers send to a peer of a run within this process.
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/net/channel.h"
#include "tests/support/catch.h"
#include "tests/support/contains.h"
#include "tests/support/in_process_run.h"
#include "tests/support/link.h"
#include "tests/support/raw_peer.h"
#include "tests/support/temporary_directory.h"

namespace mdgan::test {

using protocol::Message;

namespace {

// Stands between one connection's peers and the server, and reads along.
class Tap {
 public:
  Tap(zmq::context_t& context, const std::string& server)
      : front_(context, zmq::socket_type::dealer),
        back_(make_link(context, server)) {
    front_.set(zmq::sockopt::linger, 0);
    front_.bind(kAnyPort);
    endpoint_ = front_.get(zmq::sockopt::last_endpoint);
  }
  const std::string& endpoint() const { return endpoint_; }
  zmq::socket_t& front() { return front_; }
  zmq::socket_t& back() { return back_; }

  // Passes on what waits on `from`; `pass` is called with each message and
  // the function that passes it on.
  template <typename Pass>
  void forward(zmq::socket_t& from, zmq::socket_t& to, const Pass& pass) {
    while (true) {
      zmq::message_t frame;
      if (!from.recv(frame, zmq::recv_flags::dontwait)) return;
      const auto forward = [&] { to.send(frame, zmq::send_flags::none); };
      const auto message =
          protocol::decode({frame.data<std::byte>(), frame.size()});
      if (message)
        pass(*message, forward);
      else
        forward();  // of a tensor
    }
  }

 private:
  zmq::socket_t front_;
  zmq::socket_t back_;
  std::string endpoint_;
};

// Everything about a peer but its swaps' tokens.
struct Victim {
  std::string endpoint;
  Message welcome;
  std::optional<zmq::socket_t> link;
};

void send_transfer(Victim& victim, Message message,
                   const std::vector<Blob>& tensors) {
  auto& transfer = std::get<protocol::Transfer>(message.body);
  for (const Blob& tensor : tensors) transfer.tensors.push_back(tensor.meta);
  TensorFrames frames(tensors);
  REQUIRE(send(*victim.link, "", message, &frames) == Sent::kYes);
}

// Discriminators from a stranger for an exchange whose token it does not know.
void send_forged_transfers(zmq::context_t& context, Victim& victim,
                           const protocol::Swap& swap) {
  victim.link = make_link(context, victim.endpoint);
  const auto& welcome = std::get<protocol::Welcome>(victim.welcome.body);
  protocol::Transfer transfer;
  transfer.swap = swap.swap;
  transfer.token = swap.receive_token + 1;
  transfer.source = swap.source;
  transfer.schema = welcome.schema;
  Message message = victim.welcome;
  message.body = transfer;

  const Blob ones = constant_floats({welcome.parameters}, 1);
  const Blob nans = constant_floats({welcome.parameters},
                                    std::numeric_limits<float>::quiet_NaN());
  const Blob few = constant_floats({3}, 1);
  send_transfer(victim, message, {ones});
  send_transfer(victim, message, {ones, ones, ones});
  send_transfer(victim, message, {nans, nans, nans});
  send_transfer(victim, message, {few});
  send_transfer(victim, message, {ones, ones});
  send_transfer(victim, message, {});
  Message other = message;
  std::get<protocol::Transfer>(other.body).schema[0] ^= std::byte{1};
  send_transfer(victim, other, {ones});
  other = message;
  std::get<protocol::Transfer>(other.body).source = PeerId{9};
  send_transfer(victim, other, {ones});
  other = message;
  other.run[0] ^= std::byte{1};
  send_transfer(victim, other, {ones});
  other = message;
  other.peer = PeerId{9};
  send_transfer(victim, other, {ones});
  other.body = protocol::Goodbye{protocol::Reason::kFailed, "from a stranger"};
  REQUIRE(send(*victim.link, "", other) == Sent::kYes);
  // The last one costs its sender the connection: all before have been handled
  // then.
  const ConnectionEnd end(context, *victim.link);
  send_parts(*victim.link, {Frame(10), Frame(10)});
  REQUIRE(end.comes());
}

}  // namespace

TEST_CASE("Discriminators from strangers change nothing", "[integration]") {
  const std::string expected = undisturbed_weights(small_options());

  const TemporaryDirectory directory;
  ServerOptions options = small_options();
  options.bind = kAnyPort;
  InProcessServer server(directory / "run", options);
  zmq::context_t context;
  std::vector<Tap> taps;
  for (int i = 0; i < 2; ++i) taps.emplace_back(context, server.endpoint());
  InProcessPeers first(context, taps[0].endpoint(), directory.path(), 0, 0, 2);
  InProcessPeers second(context, taps[1].endpoint(), directory.path(), 1, 1, 2);

  std::vector<Victim> victims(2);
  std::size_t attacks = 0;
  std::size_t goodbyes = 0;
  const auto attack = [&](Victim& victim, const protocol::Swap& swap) {
    send_forged_transfers(context, victim, swap);
    ++attacks;
  };
  while (goodbyes < 2) {
    std::vector<zmq::pollitem_t> items;
    for (Tap& tap : taps) {
      items.push_back({tap.front().handle(), 0, ZMQ_POLLIN, 0});
      items.push_back({tap.back().handle(), 0, ZMQ_POLLIN, 0});
    }
    zmq::poll(items.data(), items.size(), std::chrono::seconds(60));
    for (std::size_t i = 0; i < 2; ++i) {
      Victim& victim = victims[i];
      taps[i].forward(
          taps[i].front(), taps[i].back(),
          [&](const Message& message, const auto& pass) {
            if (const auto* hello = std::get_if<protocol::Hello>(&message.body))
              victim.endpoint = hello->endpoint;
            pass();
          });
      taps[i].forward(
          taps[i].back(), taps[i].front(),
          [&](const Message& message, const auto& pass) {
            if (std::holds_alternative<protocol::Welcome>(message.body))
              victim.welcome = message;
            if (std::holds_alternative<protocol::Goodbye>(message.body))
              ++goodbyes;
            const auto* swap = std::get_if<protocol::Swap>(&message.body);
            if (swap != nullptr) attack(victim, *swap);  // before it knows
            pass();
            if (swap != nullptr) attack(victim, *swap);  // and after
          });
    }
  }
  CHECK(attacks == 2 * 2 * kSmallSwaps);
  CHECK(server.wait().code == ExitCode::kOk);
  for (InProcessPeers* peers : {&first, &second}) {
    const PeerShellReport report = peers->wait();
    CHECK(report.code == ExitCode::kOk);
    CHECK(report.rounds == options.rounds);
    CHECK(report.swaps == kSmallSwaps);
  }
  CHECK(count_of(server.log(), "aborted") == 0);
  CHECK((server.weights() == expected));
}

}  // namespace mdgan::test
