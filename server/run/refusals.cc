#include "server/run/refusals.h"

#include <algorithm>
#include <cstddef>

namespace mdgan {
namespace {

constexpr std::size_t kMostEntries = 16;

}  // namespace

bool Refusals::add(const Refusal& refusal,
                   std::chrono::system_clock::time_point now) {
  const auto known = std::ranges::find(entries_, refusal, &Entry::refusal);
  if (known != entries_.end()) {
    ++known->times;
    known->last = now;
    return false;
  }
  if (entries_.size() == kMostEntries)
    entries_.erase(std::ranges::min_element(entries_, {}, &Entry::last));
  entries_.push_back({refusal, 1, now});
  return true;
}

bool Refusals::has(std::string_view name) const {
  return std::ranges::any_of(entries_, [name](const Entry& entry) {
    return entry.refusal.name == name;
  });
}

}  // namespace mdgan
