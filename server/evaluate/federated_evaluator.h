// Measures generators against real images that stay at their sites: the peers
// are sent features of generated images, and tell of theirs what
// common/evaluate/site_metrics.h says.
//
// Threads: one call at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/evaluate/classifier.h"
#include "common/evaluate/site_metrics.h"
#include "server/evaluate/evaluation_at_peers.h"
#include "server/evaluate/evaluation_record.h"

namespace mdgan {

class Sampler;

class FederatedEvaluator {
 public:
  // With the classifier of this file, as Classifier::file() gives it. Fails
  // with kConfiguration for another file, or where it cannot be read.
  static Result<std::unique_ptr<FederatedEvaluator>> create(
      const std::filesystem::path& classifier, std::uint32_t samples,
      const std::string& device);
  // With this classifier.
  static Result<std::unique_ptr<FederatedEvaluator>> create(
      const Classifier& classifier, std::uint32_t samples,
      const std::string& device);

  const Blob& file() const { return file_; }  // the classifier's, uint8 [m]
  const Sha256& hash() const { return hash_; }
  // Classifier::takes().
  Result<void> takes(const ImageShape& image) const {
    return classifier_->takes(image);
  }

  // The features of images that depend on the seed alone. Fails with
  // kConfiguration for images that the classifier does not take.
  Result<GeneratedImages> generate(const Sampler& generator,
                                   std::uint64_t seed);

  // REQUIRES: the sites have more than one image together, and sums of the
  // features' number.
  Result<EvaluationRecord> merge(Round round, const GeneratedImages& generated,
                                 std::span<const MeasuredSite> sites) const;

 private:
  FederatedEvaluator(Blob file, std::unique_ptr<Classifier> classifier,
                     std::uint32_t samples);

  Blob file_;
  Sha256 hash_;
  std::unique_ptr<Classifier> classifier_;
  std::uint32_t samples_;
};

}  // namespace mdgan
