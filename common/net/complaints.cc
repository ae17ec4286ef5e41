#include "common/net/complaints.h"

#include <spdlog/spdlog.h>

namespace mdgan {
namespace {

using namespace std::chrono_literals;

constexpr Duration kComplaintWindow = 60s;
constexpr std::uint64_t kShown = 20;

}  // namespace

void Complaints::warn(const std::string& culprit, const std::string& what,
                      TimePoint now) {
  flush(now);
  if (shown_ == 0 && hidden_ == 0) begun_ = now;
  if (shown_ == kShown || culprits_.contains(culprit)) {
    ++hidden_;
    return;
  }
  culprits_.insert(culprit);
  ++shown_;
  spdlog::warn("{}: {}", culprit.empty() ? "an unknown address" : culprit,
               what);
}

void Complaints::flush(TimePoint now) {
  if ((shown_ == 0 && hidden_ == 0) || now - begun_ < kComplaintWindow) return;
  if (hidden_ > 0)
    spdlog::warn(
        "{} more complaints of the last minute are "
        "not shown",
        hidden_);
  culprits_.clear();
  shown_ = hidden_ = 0;
}

}  // namespace mdgan
