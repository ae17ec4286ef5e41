// Bytes on the port that are not ZeroMQ, as any open port gets them.
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "common/base/random.h"
#include "tests/support/catch.h"
#include "tests/support/link.h"
#include "tests/support/tcp_client.h"
#include "tests/support/zmtp.h"

namespace mdgan::test {
namespace {

std::string random_bytes(Random& random) {
  std::string bytes(1 + random.below(100'000), '\0');
  for (char& byte : bytes) byte = static_cast<char>(random.below(256));
  return bytes;
}

}  // namespace

TEST_CASE("Garbage on the port does not disturb those who speak the protocol",
          "[integration]") {
  Hub hub;
  auto peer = hub.join();
  const auto seed = std::uint64_t{std::random_device{}()};
  INFO("seed " << seed);
  Random random(seed, Purpose::kSimulation);

  std::vector<std::string> rubbish{
      "",
      "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
      std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11),  // TLS
      zmtp_greeting(),
      zmtp_greeting() + random_bytes(random),
      zmtp_greeting() + zmtp_ready() + random_bytes(random),
      // A frame that claims 2^62 bytes.
      zmtp_greeting() + zmtp_ready() +
          std::string("\x02\x40\0\0\0\0\0\0\0hello", 14),
  };
  for (int i = 0; i < 30; ++i) rubbish.push_back(random_bytes(random));
  // What comes after a handshake that is in order.
  std::vector<std::string> messages{
      zmtp_message(""),
      zmtp_message("no envelope"),
      zmtp_part(3) + zmtp_part(3) + zmtp_message("x"),
      zmtp_command("PING", ""),
      zmtp_command("READY", "again"),
      std::string("\x02\x40\0\0\0\0\0\0\0hello", 14)};
  for (int i = 0; i < 10; ++i) {
    messages.push_back(random_bytes(random));
    messages.push_back(zmtp_message(random_bytes(random)));
  }
  const std::size_t before_handshake = rubbish.size();
  rubbish.insert(rubbish.end(), messages.begin(), messages.end());

  std::vector<std::unique_ptr<TcpClient>> clients;  // stay till the end
  std::uint64_t number = 0;
  std::size_t unreadable = 0;
  for (std::size_t i = 0; i < rubbish.size(); ++i) {
    const std::string& bytes = rubbish[i];
    clients.push_back(std::make_unique<TcpClient>(hub.endpoint()));
    const TcpClient brief(hub.endpoint());  // hangs up at once
    for (const TcpClient* client :
         {static_cast<const TcpClient*>(clients.back().get()), &brief}) {
      if (i >= before_handshake) shake_hands(*client);
      client->send(bytes);
    }

    REQUIRE(send(peer.socket, "", greeting(++number)) == Sent::kYes);
    // Rubbish that happens to be a frame comes out as an unreadable message.
    Received received = next_message(hub.router);
    while (received.routing_id != peer.routing_id) {
      CHECK_FALSE(received.message.ok());
      ++unreadable;
      received = next_message(hub.router);
    }
    REQUIRE(received.message.ok());
    CHECK(received.message->round.value == number);
    REQUIRE(send(hub.router, peer.routing_id, greeting(number)) == Sent::kYes);
    CHECK(next_message(peer.socket).message.ok());
  }
  CHECK(unreadable > 0);
}

TEST_CASE("fault 30: a handshake that does not come is not waited for",
          "[integration]") {
  Hub hub;
  const TcpClient silent(hub.endpoint());
  const TcpClient begun(hub.endpoint());
  begun.send(zmtp_greeting());
  CHECK(silent.is_ended());
  CHECK(begun.is_ended());
}

}  // namespace mdgan::test
