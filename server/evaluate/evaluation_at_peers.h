// Evaluation at the peers, as values for the server's shell:
// FederatedEvaluator makes them with LibTorch, tests make smaller ones.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/evaluate/metrics.h"
#include "common/evaluate/site_metrics.h"
#include "server/evaluate/evaluation_record.h"

namespace mdgan {

class Sampler;

// Images of a generator as far as measuring them needs them.
struct GeneratedImages {
  GeneratedFeatures features;
  MeanAndSpread inception_score;
  std::vector<double> histogram;  // each class's share
  EvaluationRecord::Seconds seconds;
};

// What one peer has measured.
struct MeasuredSite {
  std::string name;
  SiteMetrics metrics;
};

struct EvaluationAtPeers {
  Blob classifier;  // the file that gives features, uint8 [m]
  Sha256 hash{};    // of it
  // Fails with kConfiguration where the classifier is not for such images.
  std::function<Result<void>(const ImageShape&)> takes;
  // Those of FederatedEvaluator.
  std::function<Result<GeneratedImages>(const Sampler&, std::uint64_t seed)>
      generate;
  std::function<Result<EvaluationRecord>(Round, const GeneratedImages&,
                                         std::span<const MeasuredSite>)>
      merge;
};

}  // namespace mdgan
