// A host that answers whoever connects with the same bytes, whatever it says,
// and keeps what it says. It says the rest once more than ZeroMQ's greeting has
// come: who is answered before it has asked hangs up too soon.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/zmtp.h"

namespace mdgan::test {

class TcpHost {
 public:
  explicit TcpHost(std::string first, std::string rest = "")
      : first_(std::move(first)),
        rest_(std::move(rest)),
        listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const plain = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listener_, plain, size) != 0 || ::listen(listener_, 16) != 0 ||
        ::getsockname(listener_, plain, &size) != 0)
      throw std::runtime_error("the host cannot listen");
    endpoint_ = "tcp://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    thread_ = std::thread([this] { serve(); });
  }
  ~TcpHost() {
    over_ = true;
    thread_.join();
    ::close(listener_);
    for (const auto& [socket, place] : open_) ::close(socket);
  }
  TcpHost(const TcpHost&) = delete;
  TcpHost& operator=(const TcpHost&) = delete;

  const std::string& endpoint() const { return endpoint_; }
  // What was said on each connection so far.
  std::vector<std::string> heard() const {
    const std::lock_guard lock(mutex_);
    return heard_;
  }
  // The most that was said on one of them, in bytes.
  std::size_t longest() const {
    std::size_t most = 0;
    for (const std::string& said : heard()) most = std::max(most, said.size());
    return most;
  }

 private:
  void serve() {
    while (!over_) {
      std::vector<pollfd> items{{listener_, POLLIN, 0}};
      for (const auto& [socket, place] : open_)
        items.push_back({socket, POLLIN, 0});
      if (::poll(items.data(), items.size(), 10) <= 0) continue;
      for (const pollfd& item : items) {
        if (item.revents == 0) continue;
        if (item.fd == listener_)
          greet(::accept(listener_, nullptr, nullptr));
        else
          listen_to(item.fd);
      }
    }
  }
  void greet(int socket) {
    if (socket < 0) return;
    say(socket, first_);
    const std::lock_guard lock(mutex_);
    open_.emplace(socket, heard_.size());
    heard_.emplace_back();
  }
  static void say(int socket, const std::string& bytes) {
    (void)::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  void listen_to(int socket) {
    std::array<char, 4096> bytes{};
    const ssize_t got = ::recv(socket, bytes.data(), bytes.size(), 0);
    if (got > 0) {
      const std::lock_guard lock(mutex_);
      std::string& said = heard_.at(open_.at(socket));
      const bool had_asked = said.size() > kGreetingBytes;
      said.append(bytes.data(), static_cast<std::size_t>(got));
      if (!had_asked && said.size() > kGreetingBytes) say(socket, rest_);
    } else {
      open_.erase(socket);
      ::close(socket);
    }
  }

  const std::string first_;
  const std::string rest_;
  int listener_;
  std::string endpoint_;
  std::map<int, std::size_t> open_;  // the thread's; places in heard_
  std::atomic<bool> over_ = false;
  mutable std::mutex mutex_;  // of heard_
  std::vector<std::string> heard_;
  std::thread thread_;
};

}  // namespace mdgan::test
