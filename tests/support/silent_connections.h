// Connections that say nothing and hold descriptors.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "common/files/file_descriptor.h"
#include "common/net/endpoint.h"

namespace mdgan::test {

// Keeps as many connections that say nothing as it can: up to a thousand a
// second in place of those that the server closes.
class SilentConnections {
 public:
  explicit SilentConnections(const std::string& endpoint)
      : port_(static_cast<std::uint16_t>(
            std::stoul(parse_endpoint(endpoint, "endpoint")->port))),
        thread_([this] { flood(); }) {}
  ~SilentConnections() {
    over_ = true;
    thread_.join();
  }
  SilentConnections(const SilentConnections&) = delete;
  SilentConnections& operator=(const SilentConnections&) = delete;
  std::uint64_t made() const { return made_; }

 private:
  void flood() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port_);
    std::vector<FileDescriptor> open(400);
    for (std::size_t i = 0; !over_; i = (i + 1) % open.size()) {
      if (is_alive(open[i])) {
        if (i == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        continue;
      }
      open[i] =
          FileDescriptor(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
      // It fails where the server's queue is full.
      (void)::connect(open[i].get(),
                      reinterpret_cast<const sockaddr*>(&address),
                      sizeof address);
      ++made_;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  static bool is_alive(const FileDescriptor& connection) {
    char greeting[64];
    const auto got = ::recv(connection.get(), greeting, sizeof greeting, 0);
    return got > 0 || (got < 0 && errno == EAGAIN);
  }

  const std::uint16_t port_;
  std::atomic<bool> over_ = false;
  std::atomic<std::uint64_t> made_ = 0;
  std::thread thread_;
};

}  // namespace mdgan::test
