// Hellos that wait for the model to be decided.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "protocol/messages.h"
#include "server/core/events.h"

namespace mdgan {

class EarlyHellos {
 public:
  struct Early {
    ConnectionId connection;
    protocol::Hello hello;
    PublicKey key{};  // of the connection
  };

  std::size_t size() const { return by_arrival_.size(); }

  // One that a session said before is replaced, and comes last.
  void add(ConnectionId connection, const protocol::Hello& hello,
           const PublicKey& key) {
    const auto [it, is_new] =
        arrivals_.try_emplace({connection, hello.session}, next_);
    if (!is_new) by_arrival_.erase(std::exchange(it->second, next_));
    by_arrival_.emplace(next_++, Early{connection, hello, key});
  }

  // Gives them all away, in the order of their arrival.
  std::vector<Early> take() {
    std::vector<Early> all;
    for (auto& [arrival, early] : by_arrival_) all.push_back(std::move(early));
    by_arrival_.clear();
    arrivals_.clear();
    return all;
  }

 private:
  std::uint64_t next_ = 0;
  std::map<std::uint64_t, Early> by_arrival_;
  std::map<std::pair<ConnectionId, std::uint32_t>, std::uint64_t> arrivals_;
};

}  // namespace mdgan
