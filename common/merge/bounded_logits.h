// Logits as rules take them that weigh peers by them.
#pragma once

#include <cstddef>
#include <vector>

#include "common/merge/merge.h"

namespace mdgan {

// Row n's logits at [n * samples, (n + 1) * samples): none farther from the
// median of the group's logits for that sample than `logit_bound` says, so that
// no row weighs more than exp(logit_bound) times a typical one by what it
// claims. 0: as they are.
// REQUIRES: all rows have equally many logits, at least one.
std::vector<double> bounded_logits(const MergeGroup& group);

}  // namespace mdgan
