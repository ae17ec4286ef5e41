// How the answers of several peers become one: rows of values, in groups, are
// summed by a rule. Without LibTorch, sockets and clock.
//
// A rule sees the rows' values as well as what it may weigh them by, so that
// it can be any function of them: a weighted sum, a median, one that refuses
// or clips a row. The rules there are, and their names: rules.h.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/tensor/blob.h"
#include "protocol/training_spec.h"

namespace mdgan {

// One peer's answer.
struct MergeRow {
  PeerId peer;
  std::uint32_t group = 0;  // rows are compared within it: the batch judged
  // [b, ...], finite: float32, bfloat16, or int8 with `scales` [b] float32
  // (common/tensor/quantise.h). It is decoded when a rule asks for it.
  Blob values;
  Blob scales = {};
  std::span<const float> logits = {};  // D's logit of each sample [b], finite
  double shard_size = 1;               // below 1 counts as 1
  // This row counts as so many rows; any positive number. A row that stands
  // for n peers has their mean in `values`.
  double weight = 1;
};

// What became of a peer's answer.
enum class Verdict {
  kUsed,
  kRefused,  // it has no part in the sum
  kClipped,  // a smaller multiple of it has
};
struct PeerVerdict {
  PeerId peer;
  Verdict verdict = Verdict::kUsed;
  std::string reason = {};  // for a log; empty when used
};

// What the options say besides the rule's name; each rule reads its own.
struct MergeParameters {
  double temperature = 1;     // t, of GMAN and F2A; finite, >= 0
  std::uint32_t hostile = 1;  // f: how many rows of a group may be hostile
  Loss loss = Loss::kNonSaturating;  // of the peers' answers
  double clip = 1;  // of aggregate_clip: a multiple of the median; > 0
  // Of GMAN, F2A and UA-GAN: how far from the group's median a logit counts;
  // >= 0; 0: however far it is. See bounded_logits.h.
  double logit_bound = 0;
};

// What a rule is given: the rows of one group in the order of merge(), at least
// one, and where its results go.
struct MergeGroup {
  std::span<const MergeRow* const> rows;
  const MergeParameters& parameters;
  // For aggregate_clip: each row's Euclidean norm, and the median of those of
  // all groups' rows. Other rules get none and 0.
  std::span<const double> norms;
  double median_norm = 0;
  std::span<float> sum;             // as many as a row has values; all zero
  std::span<PeerVerdict> verdicts;  // of each row; all kUsed

  double weight() const;  // the sum of the rows' weights
};

// Adds to `sum` weight() times the value that stands for the group. So a rule
// that refuses a row gives its share to the others. Linear rules add the rows
// in the order given.
using AggregationRule = void (*)(const MergeGroup& group);

struct MergeReport {
  std::vector<PeerVerdict> verdicts;  // of each row
  // Groups that were too small for the rule (smallest_group() in rules.h), so
  // that aggregate_clip merged them.
  std::uint32_t fallbacks = 0;
};

// Overwrites sums[g] with the rule's sum of group g's rows, zeros where there
// are none. A group's sum depends on its own rows and their order, and where
// aggregate_clip made it, on the norms of all rows.
// REQUIRES: each row's group has a place in `sums`, and as many values as that;
// blobs as quantise.h requires.
MergeReport merge(AggregationRule rule, const MergeParameters& parameters,
                  std::span<const MergeRow> rows,
                  std::span<const std::span<float>> sums);

// The row's values as float32.
std::vector<float> decoded(const MergeRow& row);

}  // namespace mdgan
