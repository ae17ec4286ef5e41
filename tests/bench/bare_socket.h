// TCP sockets without ZeroMQ, blocking: what the project's transport is
// measured against. Every failure throws: a benchmark needs no more.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <utility>

namespace mdgan::bench {

class BareSocket {
 public:
  // A listener on a free port of this machine.
  static BareSocket listen() {
    BareSocket socket(::socket(AF_INET, SOCK_STREAM, 0));
    const sockaddr_in address = loopback(0);
    check(bind(socket.descriptor_, name(address), sizeof address) == 0 &&
          ::listen(socket.descriptor_, SOMAXCONN) == 0);
    return socket;
  }
  static BareSocket connect(std::uint16_t port) {
    BareSocket socket(::socket(AF_INET, SOCK_STREAM, 0));
    const sockaddr_in address = loopback(port);
    check(::connect(socket.descriptor_, name(address), sizeof address) == 0);
    socket.send_at_once();
    return socket;
  }
  BareSocket(BareSocket&& other) noexcept
      : descriptor_(std::exchange(other.descriptor_, -1)) {}
  BareSocket& operator=(BareSocket&&) = delete;
  ~BareSocket() {
    if (descriptor_ >= 0) close(descriptor_);
  }

  std::uint16_t port() const {
    sockaddr_in address{};
    socklen_t length = sizeof address;
    check(getsockname(descriptor_, reinterpret_cast<sockaddr*>(&address),
                      &length) == 0);
    return ntohs(address.sin_port);
  }
  BareSocket accept() const {
    BareSocket socket(::accept(descriptor_, nullptr, nullptr));
    socket.send_at_once();
    return socket;
  }
  void write(std::span<const std::byte> data) const {
    while (!data.empty()) {
      const ssize_t n =
          ::send(descriptor_, data.data(), data.size(), MSG_NOSIGNAL);
      check(n > 0);
      data = data.subspan(static_cast<std::size_t>(n));
    }
  }
  void read(std::span<std::byte> data) const { check(read_or_end(data)); }
  // False if the other side has closed before the first byte.
  bool read_or_end(std::span<std::byte> data) const {
    const ssize_t n =
        ::recv(descriptor_, data.data(), data.size(), MSG_WAITALL);
    check(n == 0 || n == static_cast<ssize_t>(data.size()));
    return n > 0;
  }

 private:
  explicit BareSocket(int descriptor) : descriptor_(descriptor) {
    check(descriptor >= 0);
  }
  void send_at_once() const {
    const int on = 1;
    check(setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) ==
          0);
  }
  static sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }
  static const sockaddr* name(const sockaddr_in& address) {
    return reinterpret_cast<const sockaddr*>(&address);
  }
  static void check(bool done) {
    if (!done) throw std::runtime_error("a bare socket failed");
  }

  int descriptor_;
};

}  // namespace mdgan::bench
