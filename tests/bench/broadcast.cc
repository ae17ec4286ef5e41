// Broadcasts a tensor to four receivers over loopback, through our channel and
// through bare TCP sockets, in turn. Every receiver reads everything and keeps
// nothing; one message a receiver is under way, as in a round. Prints one line
// of JSON: GB/s of both (bytes received, all receivers together) and the ratio;
// also the ratio of processor time, in the same sense (more is better for the
// channel), which says more where others use the processor.
//   bench_broadcast [BYTES [REPEATS]]

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>
#include <zmq.hpp>

#include "common/net/channel.h"
#include "common/net/receiver.h"
#include "common/tensor/blob.h"
#include "tests/bench/bare_socket.h"
#include "tests/bench/startup.h"

namespace mdgan::bench {
namespace {

constexpr std::size_t kReceivers = 4;
constexpr int kWarmUp = 20;
constexpr int kBroadcasts = 60;

using Clock = std::chrono::steady_clock;

struct Rate {
  double gb_per_s = 0;
  double cpu_s_per_gb = 0;
};

// Measures the rate of the broadcasts between its construction and finish().
class Meter {
 public:
  Rate finish(std::size_t bytes) const {
    const double seconds =
        std::chrono::duration<double>(Clock::now() - start_).count();
    const double cpu =
        static_cast<double>(std::clock() - cpu_) / CLOCKS_PER_SEC;
    const double gb =
        static_cast<double>(bytes * kReceivers * kBroadcasts) / 1e9;
    return {gb / seconds, cpu / gb};
  }

 private:
  Clock::time_point start_ = Clock::now();
  std::clock_t cpu_ = std::clock();
};

// --- our channel -------------------------------------------------------------

Received next(zmq::socket_t& socket, Receiver& receiver) {
  std::array<zmq::pollitem_t, 1> items{{{socket, 0, ZMQ_POLLIN, 0}}};
  while (true) {
    std::optional<Received> received;
    while (receiver.take(socket, received))
      if (received) return std::move(*received);
    wait_readable(items, std::chrono::seconds(10));
  }
}

protocol::Message small_message() {
  protocol::Message message;
  message.body = protocol::Checkpoint{};
  return message;
}

// Answers every message but the last with a small one.
void take_part(const std::string& endpoint) {
  zmq::context_t context;
  // The server's own messages come in long frames.
  zmq::socket_t socket = make_dealer(context, /*long_frames=*/true);
  or_exit(connect(socket, endpoint));
  Receiver receiver;
  for (int i = 0; i < kWarmUp + kBroadcasts; ++i) {
    (void)send(socket, "", small_message());
    const Received received = next(socket, receiver);
    if (!received.message) throw std::runtime_error("a bad message");
  }
  (void)send(socket, "", small_message());
  (void)next(socket, receiver);  // leave only when the server has seen it
}

Rate through_channel(std::size_t bytes) {
  zmq::context_t context;
  std::string endpoint = "tcp://127.0.0.1:*";
  zmq::socket_t router = make_router(context);
  or_exit(bind_router(router, endpoint));
  Receiver receiver;
  std::vector<std::thread> receivers;
  for (std::size_t i = 0; i < kReceivers; ++i)
    receivers.emplace_back(take_part, endpoint);

  protocol::TensorMeta meta{protocol::DType::kFloat32, {bytes / 4}};
  const std::vector<Blob> tensors{
      copy_blob(meta, std::vector<std::byte>(bytes))};
  protocol::Message message;
  message.body = protocol::Batch{0, {meta}};
  std::vector<std::string> ready;
  const auto gather = [&] {
    ready.clear();
    while (ready.size() < kReceivers)
      ready.push_back(next(router, receiver).routing_id);
  };
  Meter meter;
  for (int i = 0; i < kWarmUp + kBroadcasts; ++i) {
    gather();
    if (i == kWarmUp) meter = Meter();
    TensorFrames frames(tensors, protocol::kLongFrameBytes);
    for (const std::string& id : ready)
      if (send(router, id, message, &frames) != Sent::kYes)
        throw std::runtime_error("a receiver is gone");
  }
  gather();
  const Rate result = meter.finish(bytes);
  for (const std::string& id : ready) (void)send(router, id, small_message());
  for (std::thread& receiver : receivers) receiver.join();
  return result;
}

// --- bare sockets ------------------------------------------------------------

void read_everything(std::uint16_t port, std::size_t bytes) {
  const BareSocket socket = BareSocket::connect(port);
  std::vector<std::byte> buffer(bytes);
  const std::byte ready{};
  for (int i = 0; i < kWarmUp + kBroadcasts; ++i) {
    socket.write({&ready, 1});
    socket.read(buffer);
  }
  socket.write({&ready, 1});
}

Rate through_sockets(std::size_t bytes) {
  const BareSocket listener = BareSocket::listen();
  std::vector<std::thread> receivers;
  std::vector<BareSocket> connections;
  for (std::size_t i = 0; i < kReceivers; ++i) {
    receivers.emplace_back(read_everything, listener.port(), bytes);
    connections.push_back(listener.accept());
  }
  const std::vector<std::byte> data(bytes);
  std::byte ready{};
  Meter meter;
  for (int i = 0; i < kWarmUp + kBroadcasts; ++i) {
    for (const BareSocket& c : connections) c.read({&ready, 1});
    if (i == kWarmUp) meter = Meter();
    for (const BareSocket& c : connections) c.write(data);
  }
  for (const BareSocket& c : connections) c.read({&ready, 1});
  const Rate result = meter.finish(bytes);
  for (std::thread& receiver : receivers) receiver.join();
  return result;
}

// --- both --------------------------------------------------------------------

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

std::string compare(std::size_t bytes, std::size_t repeats) {
  std::vector<double> ours, bare, ratios, cpu_ratios;
  for (std::size_t i = 0; i < repeats; ++i) {
    const Rate a = through_channel(bytes);
    const Rate b = through_sockets(bytes);
    ours.push_back(a.gb_per_s);
    bare.push_back(b.gb_per_s);
    ratios.push_back(a.gb_per_s / b.gb_per_s);
    cpu_ratios.push_back(b.cpu_s_per_gb / a.cpu_s_per_gb);
  }
  return fmt::format(
      R"({{"bytes": {}, "receivers": {}, "channel_gb_per_s": {:.3f}, )"
      R"("sockets_gb_per_s": {:.3f}, "ratio": {{"median": {:.3f}, )"
      R"("min": {:.3f}, "max": {:.3f}}}, "cpu_ratio": {:.3f}}})",
      bytes, kReceivers, median(ours), median(bare), median(ratios),
      *std::ranges::min_element(ratios), *std::ranges::max_element(ratios),
      median(cpu_ratios));
}

// The argument as a number of at least 1, or the default.
std::size_t number(int argc, char** argv, int index, std::size_t otherwise) {
  if (index >= argc) return otherwise;
  const std::string_view text = argv[index];
  std::size_t value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value == 0) {
    std::fputs("Usage: bench_broadcast [BYTES [REPEATS]]\n", stderr);
    std::exit(static_cast<int>(ExitCode::kUsage));
  }
  return value;
}

}  // namespace
}  // namespace mdgan::bench

int main(int argc, char** argv) {
  using namespace mdgan::bench;  // NOLINT: the program's own names
  start_like_the_programs(argv);
  const std::size_t bytes = number(argc, argv, 1, 3'000'000) / 4 * 4;
  const std::size_t repeats = number(argc, argv, 2, 15);
  std::puts(compare(std::max<std::size_t>(bytes, 4), repeats).c_str());
}
