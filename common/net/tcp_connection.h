// A plain TCP connection, for questions that libzmq does not answer: whether
// anybody listens, and what it says first.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

#include "common/net/endpoint.h"

namespace mdgan {

// Threads: one at a time; every call waits, until `end` at the latest.
class TcpConnection {
 public:
  // Connects. REQUIRES: the endpoint's host is an address, no name.
  TcpConnection(const Endpoint& endpoint,
                std::chrono::steady_clock::time_point end);
  ~TcpConnection();
  TcpConnection(const TcpConnection&) = delete;
  TcpConnection& operator=(const TcpConnection&) = delete;

  // Why there is no connection: an errno, ETIMEDOUT where nobody has answered;
  // 0: there is one.
  int error() const { return error_; }
  bool send(std::string_view bytes);
  // So many bytes, or those that have come until the end.
  std::string receive(std::size_t bytes);

 private:
  bool wait(short events);
  int connect(const Endpoint& endpoint);

  const std::chrono::steady_clock::time_point end_;
  int socket_ = -1;
  int error_ = 0;
};

}  // namespace mdgan
