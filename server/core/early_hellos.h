// Hellos that wait for the model to be decided: one of each name, in the order
// in which their names came first.
#pragma once

#include <cstdint>
#include <map>
#include <string>
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
    PublicKey key{};   // of the connection
    TimePoint said{};  // last
  };

  std::size_t size() const { return by_arrival_.size(); }
  // In the order of their arrival.
  const std::map<std::uint64_t, Early>& all() const { return by_arrival_; }

  // About as many bytes as their lists of classes take.
  std::size_t class_bytes() const { return class_bytes_; }
  static std::size_t class_bytes_of(const protocol::Hello& hello) {
    std::size_t bytes = hello.class_counts.size() * sizeof(std::uint64_t);
    for (const std::string& name : hello.classes)
      bytes += sizeof(std::string) + name.size();
    return bytes;
  }

  // The one of this name; null: there is none.
  const Early* find(const std::string& name) const {
    const auto it = arrivals_.find(name);
    return it == arrivals_.end() ? nullptr : &by_arrival_.at(it->second);
  }

  // One of the same name is replaced.
  void add(Early early) {
    const auto [it, is_new] = arrivals_.try_emplace(early.hello.name, next_);
    if (is_new)
      ++next_;
    else
      leave(by_arrival_.at(it->second));
    ++connections_[early.connection];
    class_bytes_ += class_bytes_of(early.hello);
    by_arrival_[it->second] = std::move(early);
  }

  void remove(const std::string& name) {
    const auto node = arrivals_.extract(name);
    if (node.empty()) return;
    const auto early = by_arrival_.extract(node.mapped());
    leave(early.mapped());
  }

  // Removes those of which `condition` is true.
  template <typename Condition>
  void remove_if(Condition condition) {
    std::vector<std::string> names;
    for (const auto& [arrival, early] : by_arrival_)
      if (condition(early)) names.push_back(early.hello.name);
    for (const std::string& name : names) remove(name);
  }

  // The connections on which they came, and how many on each.
  const std::map<ConnectionId, std::size_t>& connections() const {
    return connections_;
  }

  // Gives them all away, in the order of their arrival.
  std::vector<Early> take() {
    std::vector<Early> taken;
    for (auto& [arrival, early] : by_arrival_)
      taken.push_back(std::move(early));
    by_arrival_.clear();
    arrivals_.clear();
    connections_.clear();
    class_bytes_ = 0;
    return taken;
  }

 private:
  void leave(const Early& early) {
    const auto it = connections_.find(early.connection);
    if (--it->second == 0) connections_.erase(it);
    class_bytes_ -= class_bytes_of(early.hello);
  }

  std::uint64_t next_ = 0;
  std::size_t class_bytes_ = 0;
  std::map<ConnectionId, std::size_t> connections_;
  std::map<std::uint64_t, Early> by_arrival_;
  std::map<std::string, std::uint64_t> arrivals_;  // by name
};

}  // namespace mdgan
