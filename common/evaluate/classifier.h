// A small convolutional network that tells a data set's classes apart; its last
// hidden layer gives the features by which generators are measured.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "common/evaluate/evaluation_data.h"
#include "common/evaluate/feature_extractor.h"
#include "common/evaluate/site_question.h"

namespace mdgan {

struct ClassifierOptions {
  // The folder that keeps trained classifiers; empty: none.
  std::filesystem::path cache;
  std::string device = "cpu";
  std::uint32_t max_steps = 2812;  // of 128 images: 6 passes over 60,000
};

// Two convolutions of stride 2 (32 and 64 channels), a layer of 128 units whose
// outputs after the ReLU are the features, and one unit a class. Trained with
// Adam and small shifts on data.train, always the same way; its accuracy on
// data.test is in its name.
class Classifier : public FeatureExtractor {
 public:
  // Takes the classifier from the cache if it was trained before on this very
  // data in this very way; else trains it (minutes) and puts it there.
  // Processes that want the same one at once train it once. A damaged file is
  // made anew, and a file that cannot be written is not kept: both with a
  // warning. Fails with kConfiguration when the images have no labels or are
  // smaller than 4x4, or the device is not there.
  static Result<std::unique_ptr<Classifier>> obtain(
      const EvaluationData& data, const ClassifierOptions& options);
  // Takes the classifier from what file() gives; `what` names it in errors.
  // Fails with kConfiguration where they are something else, or the device is
  // not there.
  static Result<std::unique_ptr<Classifier>> read(const Blob& file,
                                                  const std::string& what,
                                                  const std::string& device);
  ~Classifier() override;
  Classifier(const Classifier&) = delete;
  Classifier& operator=(const Classifier&) = delete;

  Features extract(const Blob& images) override;
  std::string name() const override;

  // Fails with kConfiguration where it was made for images of another shape.
  Result<void> takes(const ImageShape& image) const;

  // The bytes [m] uint8 of a safetensors file with the weights.
  Blob file() const;

  double accuracy() const;  // the share of data.test that it gets right

 private:
  struct Impl;
  explicit Classifier(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mdgan
