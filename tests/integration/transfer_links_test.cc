// Connections for discriminators: how many there are, and what one costs that
// leads nowhere. Every socket is real.
#include "peer/io/transfer_links.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/child_process.h"
#include "tests/support/link.h"

namespace mdgan::test {
namespace {

// A discriminator, and whether anybody still has its bytes.
struct Discriminator {
  Blob values = counting_floats(1000);
  std::weak_ptr<const void> owner = values.owner;
};

Result<void> send_to(TransferLinks& links, const std::string& endpoint,
                     SwapId swap, const Blob& values) {
  protocol::Transfer transfer;
  transfer.swap = swap;
  transfer.tensors = {values.meta};
  protocol::Message message;
  message.body = transfer;
  TensorFrames frames(std::span(&values, 1));
  return links.send(endpoint, swap, message, frames);
}

// An endpoint of this machine on which nobody listens, yet. Its port is below
// those that Linux gives to outgoing connections: one of these that is told to
// connect to itself does so.
std::string free_endpoint() {
  static int port = 20'000 + ::getpid() % 10'000;
  while (true) {
    REQUIRE(++port < 32'000);
    const int probe = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    const bool is_free = ::bind(probe, reinterpret_cast<sockaddr*>(&address),
                                sizeof address) == 0;
    ::close(probe);
    if (is_free) return "tcp://127.0.0.1:" + std::to_string(port);
  }
}

}  // namespace

TEST_CASE("An aborted swap's discriminators are forgotten", "[integration]") {
  zmq::context_t context;
  TransferLinks links(context, 16);
  const std::string nowhere = free_endpoint();
  std::vector<std::weak_ptr<const void>> owners;
  for (std::uint64_t swap = 1; swap <= 40; ++swap) {
    const Discriminator d;
    owners.push_back(d.owner);
    REQUIRE(send_to(links, nowhere, {swap}, d.values).ok());
    links.drop({swap});
  }
  CHECK(links.size() == 0);
  // ZeroMQ's own thread lets go of the last ones.
  CHECK(eventually([&] {
    return std::ranges::all_of(owners,
                               [](const auto& o) { return o.expired(); });
  }));
}

TEST_CASE("A link that leads nowhere queues no more than it may",
          "[integration]") {
  zmq::context_t context;
  TransferLinks links(context, 3);
  const std::string nowhere = free_endpoint();
  const Discriminator d;
  for (std::uint64_t swap = 1; swap <= 3; ++swap)
    REQUIRE(send_to(links, nowhere, {swap}, d.values).ok());
  const auto refused = send_to(links, nowhere, {4}, d.values);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().message.find(nowhere) != std::string::npos);
}

TEST_CASE("A link that is closed for others sends what it has",
          "[integration]") {
  zmq::context_t context;
  TransferLinks links(context, 16, {}, 2);
  std::vector<std::string> endpoints{free_endpoint(), free_endpoint(),
                                     free_endpoint()};
  const Discriminator d;
  for (const std::string& endpoint : endpoints)
    REQUIRE(send_to(links, endpoint, {1}, d.values).ok());
  CHECK(links.size() == 2);
  for (std::string endpoint : endpoints) {
    Socket listener = make_bound_router(context, endpoint);
    CHECK(next_message(listener).message.ok());
  }
}

}  // namespace mdgan::test
