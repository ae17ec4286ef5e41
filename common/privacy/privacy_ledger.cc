#include "common/privacy/privacy_ledger.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/base/result.h"

namespace mdgan {
namespace {

// More steps than anybody takes; sums of them still fit.
constexpr std::uint64_t kMostSteps = std::uint64_t{1} << 48;

bool same_kind(const PrivacyCharge& a, const PrivacyCharge& b) {
  return a.rate == b.rate && a.noise == b.noise;
}

}  // namespace

bool is_countable(const PrivacyCharge& charge) {
  return charge.rate > 0 && charge.rate <= 1 && charge.noise > 0 &&
         std::isfinite(charge.noise) && charge.steps <= kMostSteps;
}

PrivacyLedger::PrivacyLedger(double epsilon, double delta,
                             const std::vector<PrivacyCharge>& own,
                             const std::vector<PrivacyCharge>& inherited)
    : limit_(epsilon), delta_(delta), inherited_(inherited) {
  for (const PrivacyCharge& charge : own) this->charge(charge);
}

const RdpCurve& PrivacyLedger::curve_of(double rate, double noise) const {
  RdpCurve& curve = curves_[{rate, noise}];
  if (curve.empty()) curve = rdp_of_step(rate, noise);
  return curve;
}

double PrivacyLedger::epsilon_with(const PrivacyCharge& more) const {
  RdpCurve sum(rdp_orders().size(), 0.0);
  std::uint64_t steps = 0;
  const auto add = [&](const PrivacyCharge& charge) {
    if (charge.steps == 0) return;
    const RdpCurve& curve = curve_of(charge.rate, charge.noise);
    for (std::size_t i = 0; i < sum.size(); ++i)
      sum[i] += static_cast<double>(charge.steps) * curve[i];
    steps += charge.steps;
  };
  std::ranges::for_each(own_, add);
  std::ranges::for_each(inherited_, add);
  add(more);
  return steps == 0 ? 0 : epsilon_of(sum, delta_);
}

std::uint64_t PrivacyLedger::affordable(double rate, double noise,
                                        std::uint64_t most) const {
  const auto fits = [&](std::uint64_t steps) {
    return epsilon_with({rate, noise, steps}) <= limit_;
  };
  std::uint64_t low = 0;  // fits, or is nothing
  std::uint64_t high = most;
  while (low < high) {
    const std::uint64_t middle = low + (high - low + 1) / 2;
    if (fits(middle))
      low = middle;
    else
      high = middle - 1;
  }
  return low;
}

void PrivacyLedger::charge(const PrivacyCharge& charge) {
  MDGAN_CHECK(is_countable(charge));
  for (PrivacyCharge& known : own_)
    if (same_kind(known, charge)) {
      known.steps += charge.steps;
      return;
    }
  own_.push_back(charge);
}

void PrivacyLedger::refund(const PrivacyCharge& charge) {
  for (PrivacyCharge& known : own_)
    if (same_kind(known, charge)) {
      MDGAN_CHECK(known.steps >= charge.steps);
      known.steps -= charge.steps;
      return;
    }
  MDGAN_CHECK(charge.steps == 0);
}

std::uint64_t PrivacyLedger::own_steps() const {
  std::uint64_t steps = 0;
  for (const PrivacyCharge& charge : own_) steps += charge.steps;
  return steps;
}

}  // namespace mdgan
