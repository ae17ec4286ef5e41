// Measures generators against real images: 10,000 of each is the customary
// number, and what MNIST and CIFAR-10 have for testing.
//
// Threads: one call at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "protocol/training_spec.h"
#include "server/evaluate/evaluation_record.h"
#include "server/evaluate/feature_extractor.h"
#include "server/evaluate/metrics.h"

namespace mdgan {

class Sampler;

struct EvaluatorOptions {
  std::filesystem::path data;      // load_evaluation_data()
  std::filesystem::path features;  // a TorchScript file; empty: a Classifier
  std::filesystem::path cache;     // ClassifierOptions::cache
  std::uint32_t samples = 10'000;  // at least 20
  std::string device = "cpu";
};

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
  Evaluator(const EvaluatorOptions& options, const ImageShape& image,
            std::unique_ptr<FeatureExtractor> extractor, const Blob& images);

  std::uint32_t samples_;
  ImageShape image_;
  std::unique_ptr<FeatureExtractor> extractor_;
  std::uint32_t real_images_ = 0;
  std::unique_ptr<RealFeatures> real_;
  std::vector<double> real_histogram_;  // empty: classes are not known
};

}  // namespace mdgan
