#pragma once
#include "common/base/random.h"
namespace mdgan {
inline constexpr Purpose kHeldOut{12};
inline constexpr Purpose kClassifierInit{13};
inline constexpr Purpose kClassifierBatches{14};
inline constexpr Purpose kEvaluation{15};
inline constexpr Purpose kMetricSubsets{16};
}
