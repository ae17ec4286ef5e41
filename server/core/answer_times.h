// How long peers take to answer, from when they are asked: plain values.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "common/base/time.h"

namespace mdgan {

// The newest answers of one peer.
class AnswerTimes {
 public:
  static constexpr std::size_t kKept = 64;

  void add(Duration time) {
    const auto value = static_cast<float>(seconds(time));
    if (newest_.size() < kKept)
      newest_.push_back(value);
    else
      newest_[next_] = value;
    next_ = (next_ + 1) % kKept;
  }

  // The seconds within which this share, in (0, 1], of them came; nullopt:
  // there are none.
  std::optional<double> within(double share) const {
    if (newest_.empty()) return std::nullopt;
    std::array<float, kKept> values;  // on the stack: asked of every member
    const std::span sorted(values.data(), newest_.size());
    std::ranges::copy(newest_, sorted.begin());
    const auto rank = static_cast<std::size_t>(
        share * static_cast<double>(sorted.size()) + 0.999);
    const auto at = sorted.begin() +
                    static_cast<std::ptrdiff_t>(
                        std::clamp<std::size_t>(rank, 1, sorted.size()) - 1);
    std::nth_element(sorted.begin(), at, sorted.end());
    return *at;
  }

 private:
  std::vector<float> newest_;
  std::size_t next_ = 0;  // the oldest one's place, once all are taken
};

// Of all peers, since the server started.
struct AnswerHistogram {
  static constexpr std::array<double, 12> kBounds{
      0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30};  // seconds

  // Answers that took at most the bound, and more than the one before; the last
  // ones took longer than all bounds.
  std::array<std::uint64_t, kBounds.size() + 1> counts{};
  double sum = 0;  // seconds

  void add(Duration time) {
    const double took = seconds(time);
    const auto bound = std::ranges::lower_bound(kBounds, took);
    ++counts[static_cast<std::size_t>(bound - kBounds.begin())];
    sum += took;
  }
};

}  // namespace mdgan
