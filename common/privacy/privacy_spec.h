// What a site asks of differential privacy for its images.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace mdgan {

// Where noise is added: nowhere; or to the discriminator's gradient by real
// images (DP-SGD, Abadi et al. 2016), of which all that leaves the site is made
// then.
enum class DpMode { kNone, kDiscriminator };
inline constexpr std::array<std::pair<DpMode, std::string_view>, 2>
    kDpModeNames{{
        {DpMode::kNone, "none"},
        {DpMode::kDiscriminator, "discriminator"},
    }};

struct PrivacySpec {
  DpMode mode = DpMode::kNone;
  // The budget: what may be told of one image over all runs.
  double epsilon = 10;
  double delta = 1e-5;
  double clip = 1;   // C, the longest that one image's gradient may be
  double noise = 1;  // sigma; the noise's standard deviation is sigma * C
};

// What has been spent of a budget.
struct PrivacySpent {
  double epsilon = 0;  // at `delta`, over all runs
  double limit = 0;    // the budget's epsilon
  double delta = 0;
  std::uint64_t steps = 0;  // of D on real images, over all runs
  // Why the last step on real images was not taken; empty: it was.
  std::string refusal;
};

}  // namespace mdgan
