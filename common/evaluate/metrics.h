// How near generated images are to real ones, judged by their features: what
// torch-fidelity (github.com/toshas/torch-fidelity) computes, under its names
// and with its defaults. LibTorch stays behind the implementation.
//
// Features are [n, f] float32; probabilities [n, classes] float32, whose rows
// sum to one. Failures of LibTorch, such as no memory, throw a standard
// exception.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "common/tensor/blob.h"

namespace mdgan {

struct MeanAndSpread {
  double mean = 0;
  double std = 0;  // of the population: divided by the number, not one less
};

struct PrecisionRecall {
  double precision = 0;  // share of generated images among the real ones
  double recall = 0;     // share of real images among the generated ones
  double f_score = 0;    // their harmonic mean
};

// The exponential of the mean information that an image gives about its class
// (Salimans et al. 2016), over `splits` parts one after the other; on a
// classifier of MNIST this is the paper's "MNIST score". REQUIRES: at least
// `splits` rows.
MeanAndSpread inception_score(const Blob& probabilities,
                              std::int64_t splits = 10);

// The share of images whose most probable class is each one.
std::vector<double> class_histogram(const Blob& probabilities);

// Half the sum of the differences: 0 for equal histograms, 1 for disjoint ones.
double total_variation(const std::vector<double>& a,
                       const std::vector<double>& b);

// Each image's squared distance to its third neighbour among them, [n] float32.
// REQUIRES: features [n, f] of more than three.
Blob neighbour_radii(const Blob& features);

// The real images' features, with those parts of the distances that depend on
// them alone.
//
// Threads: one call at a time.
class RealFeatures {
 public:
  static constexpr std::int64_t kNeighbour = 3;
  static constexpr std::uint32_t kSubsets = 100;
  static constexpr std::uint32_t kSubsetSize = 1000;

  // REQUIRES, here and below: more than kNeighbour rows, the same width.
  explicit RealFeatures(const Blob& features);
  ~RealFeatures();
  RealFeatures(const RealFeatures&) = delete;
  RealFeatures& operator=(const RealFeatures&) = delete;

  // FID, Frechet inception distance (Heusel et al. 2017), of the normal
  // distributions with the features' means and unbiased covariances; in
  // float64. It falls with the number of images: compare equal numbers only.
  double frechet_distance(const Blob& features) const;

  // KID, kernel inception distance (Binkowski et al. 2018): the unbiased
  // squared maximum mean discrepancy under the kernel (x.y / f + 1)^3, over
  // random subsets of `size`, or of all images where there are fewer. The
  // subsets depend on the two numbers of images alone.
  MeanAndSpread kernel_distance(const Blob& features,
                                std::uint32_t subsets = kSubsets,
                                std::uint32_t size = kSubsetSize) const;

  // Improved precision and recall (Kynkaanniemi et al. 2019): an image is among
  // others when it is no farther from one of them than that one's third
  // neighbour.
  PrecisionRecall precision_recall(const Blob& features) const;

  // The recall of that, of images with these neighbour_radii().
  double recall(const Blob& features, const Blob& radii) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mdgan
