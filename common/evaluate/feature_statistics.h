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

// What a site tells of its images' features: of several sites' images together
// mean and covariance follow from the sums over the sites.
struct FeatureSums {
  std::uint64_t images = 0;
  std::vector<double> sum;       // [f] of the features
  std::vector<double> products;  // [f, f] of their outer products
};

// Of features [n, f] float32, in float64.
FeatureSums sums_of(const Blob& features);

// Adds what another site tells. REQUIRES: the same f.
void add_to(FeatureSums& all, const FeatureSums& site);

// As statistics_of() the features of all those images.
// REQUIRES: more than one image.
FeatureStatistics statistics_of(FeatureSums all);

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
