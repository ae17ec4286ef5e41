// What has been charged for one shard's images, and whether there is budget for
// more. Pure: ledger_file.h keeps it on the disk.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "common/privacy/rdp_accountant.h"

namespace mdgan {

// Steps of one kind: rdp_of_step(rate, noise) each.
struct PrivacyCharge {
  double rate = 0;
  double noise = 0;
  std::uint64_t steps = 0;
  friend bool operator==(const PrivacyCharge&, const PrivacyCharge&) = default;
};

// Whether a charge is one that can be counted: its numbers are in range.
bool is_countable(const PrivacyCharge& charge);

class PrivacyLedger {
 public:
  // `own` has been charged to this shard, `inherited` to others that have
  // images in common with it. REQUIRES: all are countable; 0 < delta < 1.
  PrivacyLedger(double epsilon, double delta,
                const std::vector<PrivacyCharge>& own,
                const std::vector<PrivacyCharge>& inherited);

  // Of all charges, at the budget's delta; 0: there are none.
  double epsilon() const { return epsilon_with({}); }

  // How many more steps of this kind the budget allows, up to `most`.
  std::uint64_t affordable(double rate, double noise, std::uint64_t most) const;

  // Charges, or gives back, `steps` steps of this kind. REQUIRES: is_countable;
  // no more is given back than was charged.
  void charge(const PrivacyCharge& charge);
  void refund(const PrivacyCharge& charge);

  const std::vector<PrivacyCharge>& own() const { return own_; }
  std::uint64_t own_steps() const;

 private:
  double epsilon_with(const PrivacyCharge& more) const;
  const RdpCurve& curve_of(double rate, double noise) const;

  double limit_;
  double delta_;
  std::vector<PrivacyCharge> own_;  // one of a kind
  std::vector<PrivacyCharge> inherited_;
  mutable std::map<std::pair<double, double>, RdpCurve> curves_;
};

}  // namespace mdgan
