// How near generated images are to the real ones of one site, whose images
// nobody else may see: features of generated images in; numbers out, and sums
// of the real images' features, from which the distance to all sites' images
// together follows. PROTOCOL.md, "Evaluation at the peers", has the formulas.
// LibTorch stays behind the implementation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/data/dataset.h"
#include "common/evaluate/feature_statistics.h"
#include "common/evaluate/site_question.h"

namespace mdgan {

struct SiteMetrics {
  double kernel_distance_mean = 0;  // as RealFeatures' (metrics.h)
  double kernel_distance_std = 0;
  double recall = 0;  // likewise
  FeatureSums sums;   // of the site's held-out images
};

// Answers questions on the images of one site. Threads: one call at a time.
// Fails in words for the server where that measures with another classifier.
// Failures of LibTorch throw a standard exception.
using MeasureSite = std::function<Result<SiteMetrics>(const SiteQuestion&)>;

// Fewer images than these are not measured: their sums would tell much of each.
inline constexpr std::size_t kFewestHeldOut = 20;

// For these images of `data`, by the classifier whose file [m] uint8 this is
// (Classifier::file()); `what` names it in errors. Fails with kConfiguration
// where it is none, or takes images of another shape.
// REQUIRES: at least kFewestHeldOut images.
Result<MeasureSite> measure_site(std::shared_ptr<const Dataset> data,
                                 std::vector<std::uint32_t> images,
                                 const Blob& classifier,
                                 const std::string& what,
                                 const std::string& device);

}  // namespace mdgan
