// The metrics of the generator of one round, and the files that keep them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"

namespace mdgan {

// Metrics that need a feature extractor that knows classes.
struct ClassScores {
  double inception_score_mean = 0;
  double inception_score_std = 0;
  std::vector<double> histogram;  // each class's share of the generated images
  // Total variation, from the real images' histogram where that is known.
  std::optional<double> distance = {};
};

// How good a classifier is on real images that was trained on generated ones,
// and one that was trained on real ones (utility.h).
struct Utility {
  double generated = 0;  // the share of the test images that it gets right
  double real = 0;
  std::uint32_t images = 0;  // generated ones that it was trained on
};

// What one site's held-out images say, and the Frechet distance to those of all
// the others.
struct SiteScores {
  std::string name;
  std::uint64_t images = 0;
  double kernel_distance_mean = 0;
  double kernel_distance_std = 0;
  double recall = 0;
  std::optional<double> frechet_distance_without;
};

// See common/evaluate/metrics.h for what the numbers are.
struct EvaluationRecord {
  std::uint64_t round = 0;
  std::uint32_t samples = 0;      // generated images
  std::uint64_t real_images = 0;  // those they were compared with
  std::string features;           // FeatureExtractor::name()
  double frechet_distance = 0;
  // The distance that as many images of the training part have in place of the
  // generated ones: a perfect generator has this. Missing where there are
  // fewer.
  std::optional<double> real_frechet_distance;
  double kernel_distance_mean = 0;
  double kernel_distance_std = 0;
  // Missing where the real images are at several sites: neither follows from
  // what these tell.
  std::optional<double> precision;
  double recall = 0;
  std::optional<double> f_score;
  std::optional<ClassScores> classes;
  std::optional<Utility> utility;
  // Where the peers have measured: real_images are theirs together, and the
  // kernel distance is the mean of the sites'.
  std::vector<SiteScores> sites;

  // The time that each part took.
  struct Seconds {
    double generate = 0;
    double extract = 0;  // the features
    double frechet = 0;
    double kernel = 0;
    double neighbours = 0;
    double total() const {
      return generate + extract + frechet + kernel + neighbours;
    }
  } seconds;
};

// "FID 41.20  score 9.12", for the log and the progress line.
std::string summary(const EvaluationRecord& record);

// The JSON object {"round": R, "samples": n, "features": ..., and every number
// under torch-fidelity's name}.
std::string to_json(const EvaluationRecord& record);

// Puts the record into the run's metric-*.jsonl, one file a metric: fid10k,
// kid10k, pr10k, is10k, classes10k, tstr10k and sites10k for 10,000 samples.
// Lines are in the order of rounds; the record takes the place of an older one
// of its round. Fails with kCheckpoint.
Result<void> keep_evaluation(const std::filesystem::path& run,
                             const EvaluationRecord& record);

// truncate_after_round() of every such file.
Result<void> truncate_evaluations(const std::filesystem::path& run,
                                  Round round);

}  // namespace mdgan
