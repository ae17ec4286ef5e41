// The peers that were refused last, for status.json and the progress line.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mdgan {

// A hello that was refused. The name is what the stranger said.
struct Refusal {
  std::string name;
  std::string address;  // empty: a peer of this process, or gone already
  std::string reason;
  friend bool operator==(const Refusal&, const Refusal&) = default;
};

// Bounded, however many are refused.
class Refusals {
 public:
  struct Entry {
    Refusal refusal;
    std::uint64_t times = 0;
    std::chrono::system_clock::time_point last{};
  };

  // Whether this is the first time that it is refused so, as far as is known.
  bool add(const Refusal& refusal, std::chrono::system_clock::time_point now);
  // The last 16 that differ, in the order in which they were refused first.
  const std::vector<Entry>& entries() const { return entries_; }
  bool has(std::string_view name) const;

 private:
  std::vector<Entry> entries_;
};

}  // namespace mdgan
