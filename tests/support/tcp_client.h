// A TCP connection that speaks no ZeroMQ.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>
#include <string>
#include <string_view>

#include "common/net/endpoint.h"

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

  // The other side may hang up in the middle: that is its right.
  void send(std::string_view bytes) const {
    while (!bytes.empty()) {
      const auto sent =
          ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }

 private:
  int socket_;
};

}  // namespace mdgan::test
