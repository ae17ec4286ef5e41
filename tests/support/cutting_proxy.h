// A TCP proxy that keeps what passes, as who watches the wire does, and that
// may let a given number of bytes through to the server, and then no more: what
// a peer that dies in mid-message leaves there.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>

#include "common/net/endpoint.h"

namespace mdgan::test {

class CuttingProxy {
 public:
  // For one connection to `server`, tcp://127.0.0.1:PORT.
  explicit CuttingProxy(const std::string& server)
      : listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    const auto parsed = parse_endpoint(server, "server");
    server_port_ = static_cast<std::uint16_t>(std::stoul(parsed->port));
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    auto* const plain = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listener_, plain, size) != 0 || ::listen(listener_, 1) != 0 ||
        ::getsockname(listener_, plain, &size) != 0)
      throw std::runtime_error("the proxy cannot listen");
    endpoint_ = "tcp://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    thread_ = std::thread([this] { forward(); });
  }
  ~CuttingProxy() {
    over_ = true;
    thread_.join();
    ::close(listener_);
  }
  CuttingProxy(const CuttingProxy&) = delete;
  CuttingProxy& operator=(const CuttingProxy&) = delete;

  const std::string& endpoint() const { return endpoint_; }
  // From now on, `bytes` more reach the server.
  void cut_after(std::int64_t bytes) { allowed_ = bytes; }
  bool is_cut() const { return allowed_ == 0; }
  // What has passed so far: to the server, and back to the peer.
  std::string to_server() const { return kept(to_server_); }
  std::string to_peer() const { return kept(to_peer_); }

 private:
  static sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
  }

  void forward() {
    const auto readable = [](int socket) {
      pollfd item{socket, POLLIN, 0};
      return ::poll(&item, 1, 10) > 0;
    };
    while (!over_ && !readable(listener_)) {
    }
    if (over_) return;
    const int peer = ::accept(listener_, nullptr, nullptr);
    const int server = ::socket(AF_INET, SOCK_STREAM, 0);
    const sockaddr_in address = loopback(server_port_);
    bool open = ::connect(server, reinterpret_cast<const sockaddr*>(&address),
                          sizeof address) == 0;
    while (open && !over_) {
      // A peer's bytes beyond those allowed stay unread.
      if (readable(peer) && !is_cut())
        open = pass(peer, server, to_server_, &allowed_);
      if (open && readable(server))
        open = pass(server, peer, to_peer_, nullptr);
    }
    ::close(peer);
    ::close(server);
  }

  // False when the connection has ended.
  bool pass(int from, int to, std::string& kept,
            std::atomic<std::int64_t>* allowed) {
    std::array<char, 1024> bytes{};
    std::size_t most = bytes.size();
    if (allowed != nullptr && *allowed > 0)
      most = std::min(most, static_cast<std::size_t>(allowed->load()));
    const ssize_t got = ::recv(from, bytes.data(), most, 0);
    if (got <= 0) return false;
    const auto size = static_cast<std::size_t>(got);
    {
      const std::lock_guard lock(mutex_);
      kept.append(bytes.data(), size);
    }
    if (::send(to, bytes.data(), size, MSG_NOSIGNAL) != got) return false;
    if (allowed != nullptr && *allowed > 0) *allowed -= got;
    return true;
  }

  std::string kept(const std::string& bytes) const {
    const std::lock_guard lock(mutex_);
    return bytes;
  }

  int listener_;
  std::uint16_t server_port_ = 0;
  std::string endpoint_;
  std::atomic<std::int64_t> allowed_ = -1;  // without end
  std::atomic<bool> over_ = false;
  mutable std::mutex mutex_;  // of the next two
  std::string to_server_;
  std::string to_peer_;
  std::thread thread_;
};

}  // namespace mdgan::test
