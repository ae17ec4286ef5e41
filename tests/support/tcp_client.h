// A TCP connection that speaks no ZeroMQ.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>

#include "common/net/endpoint.h"
#include "tests/support/zmtp.h"

namespace mdgan::test {

class TcpClient {
 public:
  // Connects to tcp://127.0.0.1:PORT.
  explicit TcpClient(const std::string& endpoint)
      : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    const auto parsed = parse_endpoint(endpoint, "endpoint");
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port =
        htons(static_cast<std::uint16_t>(std::stoul(parsed->port)));
    if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address),
                  sizeof address) != 0)
      throw std::runtime_error("cannot connect to " + endpoint);
  }
  ~TcpClient() { ::close(socket_); }
  TcpClient(const TcpClient&) = delete;
  TcpClient& operator=(const TcpClient&) = delete;

  // The other side may hang up in the middle: that is its right. False then.
  bool send(std::string_view bytes) const {
    while (!bytes.empty()) {
      const auto sent =
          ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  // Waits until the other side hangs up; false if it does not.
  bool is_ended() const {
    std::string ignored;
    return receive(ignored);
  }
  // What comes until it is `most` bytes or more, the other side hangs up, or it
  // is silent for a minute.
  std::string receive_up_to(std::size_t most) const {
    std::string all;
    (void)receive(all, most);
    return all;
  }
  // Whether it has not hung up so far; takes what is there.
  bool is_open() const {
    char bytes[4096];
    ssize_t got = 0;
    while ((got = ::recv(socket_, bytes, sizeof bytes, MSG_DONTWAIT)) > 0) {
    }
    return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  }
  // What comes until the other side hangs up, or is silent for a minute.
  std::string receive_all() const {
    std::string all;
    (void)receive(all);
    return all;
  }

 private:
  bool receive(std::string& all, std::size_t most = SIZE_MAX) const {
    const timeval patience{60, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    char bytes[4096];
    ssize_t got = 0;
    while (all.size() < most &&
           (got = ::recv(socket_, bytes, sizeof bytes, 0)) > 0)
      all.append(bytes, static_cast<std::size_t>(got));
    return got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
  }

  int socket_;
};

// Ends the handshake of a ZeroMQ client: what comes before the other side has
// said READY is taken for a part of it.
inline void shake_hands(const TcpClient& client,
                        const std::map<std::string, std::string>& more = {}) {
  // READY has the socket's type, ROUTER or DEALER, and an empty identity.
  constexpr std::size_t kReadyBytes = 43;
  client.send(zmtp_greeting() + zmtp_ready(more));
  (void)client.receive_up_to(kGreetingBytes + kReadyBytes);
}

}  // namespace mdgan::test
