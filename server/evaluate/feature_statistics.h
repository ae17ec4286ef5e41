// Mean and covariance of features: all that the Frechet inception distance
// takes of images, and what pytorch-fid (github.com/mseitzer/pytorch-fid) keeps
// of a data set, so that it need not be there. LibTorch stays behind the
// implementation.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "common/base/result.h"
#include "common/tensor/blob.h"

namespace mdgan {

struct FeatureStatistics {
  std::vector<double> mean;        // [f]
  std::vector<double> covariance;  // [f, f], unbiased
};

// Of features [n, f] float32. REQUIRES: n > 1. Failures of LibTorch throw a
// standard exception.
FeatureStatistics statistics_of(const Blob& features);

// The Frechet distance of the normal distributions with these moments, as
// RealFeatures' (metrics.h). REQUIRES: they have the same f. Failures of
// LibTorch throw a standard exception.
double frechet_distance(const FeatureStatistics& a, const FeatureStatistics& b);

// An .npz file with `mu` [f] and `sigma` [f, f]. Fails with kCheckpoint.
Result<void> write_statistics(const std::filesystem::path& file,
                              const FeatureStatistics& statistics);
// Fails with kData for a file that has others, or values that are not finite.
Result<FeatureStatistics> read_statistics(const std::filesystem::path& file);

}  // namespace mdgan
