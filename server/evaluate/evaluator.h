// Measures generators against real images: 10,000 of each is the customary
// number, and what MNIST and CIFAR-10 have for testing.
//
// Threads: one call at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/data/image_reading.h"
#include "common/evaluate/feature_extractor.h"
#include "common/evaluate/feature_statistics.h"
#include "common/evaluate/metrics.h"
#include "protocol/training_spec.h"
#include "server/evaluate/evaluation_record.h"

namespace mdgan {

class Sampler;

struct EvaluatorOptions {
  std::filesystem::path data;      // load_evaluation_data()
  ImageReading reading;            // of it
  std::filesystem::path features;  // a TorchScript file; empty: a Classifier
  std::filesystem::path cache;     // ClassifierOptions::cache
  std::uint32_t samples = 10'000;  // at least 20
  std::string device = "cpu";
};

// What gives features: the script, or the data's classifier, which may have to
// be trained (minutes); the script needs no data. Fails as they do.
Result<std::unique_ptr<FeatureExtractor>> make_extractor(
    const EvaluatorOptions& options);

// Of `samples` generated images, the same ones that Evaluator compares. Fails
// with kConfiguration for images that the extractor does not take.
Result<FeatureStatistics> generated_statistics(FeatureExtractor& extractor,
                                               const Sampler& generator,
                                               std::uint32_t samples,
                                               std::uint64_t seed);

// Of as many real images, or all there are, of the data. Fails like
// load_evaluation_data(), too.
Result<FeatureStatistics> real_statistics(FeatureExtractor& extractor,
                                          const EvaluatorOptions& options);

class Evaluator {
 public:
  // Loads the data and what gives features; may train a classifier (minutes).
  // Fails as these do.
  static Result<std::unique_ptr<Evaluator>> create(
      const EvaluatorOptions& options);

  const ImageShape& image() const { return image_; }

  // Compares `samples` images with as many real ones, or all there are. The
  // latents depend on the seed alone. Fails with kConfiguration when the
  // generator's images have another size than the data's. A failure of LibTorch
  // throws a standard exception.
  Result<EvaluationRecord> evaluate(const Sampler& generator, Round round,
                                    std::uint64_t seed);

 private:
  // `images` are the real ones to compare with, `others` those of the training
  // part.
  Evaluator(const EvaluatorOptions& options, const ImageShape& image,
            std::unique_ptr<FeatureExtractor> extractor, const Blob& images,
            const Blob& others);

  std::uint32_t samples_;
  ImageShape image_;
  std::unique_ptr<FeatureExtractor> extractor_;
  std::uint32_t real_images_ = 0;
  std::unique_ptr<RealFeatures> real_;
  std::optional<double> real_distance_;  // of the training part's images
  std::vector<double> real_histogram_;   // empty: classes are not known
};

}  // namespace mdgan
