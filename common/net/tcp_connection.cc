#include "common/net/tcp_connection.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

namespace mdgan {

TcpConnection::TcpConnection(const Endpoint& endpoint,
                             std::chrono::steady_clock::time_point end)
    : end_(end), error_(connect(endpoint)) {}

TcpConnection::~TcpConnection() {
  if (socket_ >= 0) ::close(socket_);
}

int TcpConnection::connect(const Endpoint& endpoint) {
  std::string host = endpoint.host;
  if (host.starts_with('[') && host.ends_with(']'))
    host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  addrinfo* first = nullptr;
  if (::getaddrinfo(host.c_str(), endpoint.port.c_str(), &hints, &first) != 0)
    return EADDRNOTAVAIL;
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> address(first,
                                                               ::freeaddrinfo);
  socket_ = ::socket(address->ai_family,
                     SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (socket_ < 0) return errno;
  if (::connect(socket_, address->ai_addr, address->ai_addrlen) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  if (!wait(POLLOUT)) return ETIMEDOUT;
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(socket_, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
    return errno;
  return error;
}

bool TcpConnection::send(std::string_view bytes) {
  return error_ == 0 &&
         ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
             static_cast<ssize_t>(bytes.size());
}

std::string TcpConnection::receive(std::size_t bytes) {
  std::string received;
  while (error_ == 0 && received.size() < bytes && wait(POLLIN)) {
    std::array<char, 256> part{};
    const ssize_t n = ::recv(socket_, part.data(),
                             std::min(part.size(), bytes - received.size()), 0);
    if (n <= 0) break;
    received.append(part.data(), static_cast<std::size_t>(n));
  }
  return received;
}

bool TcpConnection::wait(short events) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(
      end_ - std::chrono::steady_clock::now());
  pollfd item{socket_, events, 0};
  return left.count() > 0 &&
         ::poll(&item, 1, static_cast<int>(left.count())) == 1;
}

}  // namespace mdgan
