#include "server/evaluate/evaluator.h"

#include <algorithm>
#include <exception>
#include <utility>
#include <vector>

#include "common/base/time.h"
#include "common/evaluate/classifier.h"
#include "common/train/generator/sampler.h"
#include "server/evaluate/generated_features.h"

namespace mdgan {
namespace {

Blob images_of(const Dataset& data) {
  const ImageShape& shape = data.shape;
  return copy_blob({protocol::DType::kUint8,
                    {data.size(), shape.channels, shape.height, shape.width}},
                   std::as_bytes(std::span(data.pixels)));
}

// Images `first` to `first + n - 1` of the blob, which must outlive them.
Blob rows_of(const Blob& images, std::uint32_t first, std::uint32_t n) {
  Blob rows = images;
  const std::size_t each = images.bytes.size() / images.meta.dims[0];
  rows.meta.dims[0] = n;
  rows.bytes = images.bytes.subspan(first * each, n * each);
  return rows;
}

Features features_of(FeatureExtractor& extractor, const Blob& images) {
  EvaluationRecord::Seconds ignored;
  return extract_features(
      extractor, static_cast<std::uint32_t>(images.meta.dims[0]),
      [&images](auto first, auto n) { return rows_of(images, first, n); },
      ignored);
}

Result<std::unique_ptr<FeatureExtractor>> classifier_of(
    const EvaluationData& data, const EvaluatorOptions& options) {
  ClassifierOptions classifier;
  classifier.cache = options.cache;
  classifier.device = options.device;
  auto made = Classifier::obtain(data, classifier);
  if (!made) return made.error();
  return std::unique_ptr<FeatureExtractor>(std::move(*made));
}

}  // namespace

Result<std::unique_ptr<FeatureExtractor>> make_extractor(
    const EvaluatorOptions& options) {
  if (!options.features.empty())
    return load_script(options.features, options.device);
  const auto data = load_evaluation_data(options.data, options.reading);
  return data ? classifier_of(*data, options) : data.error();
}

Result<FeatureStatistics> generated_statistics(FeatureExtractor& extractor,
                                               const Sampler& generator,
                                               std::uint32_t samples,
                                               std::uint64_t seed) {
  EvaluationRecord::Seconds ignored;
  try {
    return statistics_of(
        generated_features(extractor, generator, samples, seed, ignored)
            .values);
  } catch (const std::exception& e) {
    return not_measured("generated", e);
  }
}

Result<FeatureStatistics> real_statistics(FeatureExtractor& extractor,
                                          const EvaluatorOptions& options) {
  const auto data = load_evaluation_data(options.data, options.reading);
  if (!data) return data.error();
  const Blob images = images_of(pick_images(data->test, options.samples));
  try {
    return statistics_of(features_of(extractor, images).values);
  } catch (const std::exception& e) {
    return not_measured("real", e);
  }
}

Result<std::unique_ptr<Evaluator>> Evaluator::create(
    const EvaluatorOptions& options) {
  const auto data = load_evaluation_data(options.data, options.reading);
  if (!data) return data.error();
  auto extractor = options.features.empty()
                       ? classifier_of(*data, options)
                       : load_script(options.features, options.device);
  if (!extractor) return extractor.error();
  try {
    return std::unique_ptr<Evaluator>(
        new Evaluator(options, data->train.shape, std::move(*extractor),
                      images_of(pick_images(data->test, options.samples)),
                      images_of(pick_images(data->train, options.samples))));
  } catch (const std::exception& e) {
    return not_measured("real", e);
  }
}

Evaluator::Evaluator(const EvaluatorOptions& options, const ImageShape& image,
                     std::unique_ptr<FeatureExtractor> extractor,
                     const Blob& images, const Blob& others)
    : samples_(options.samples),
      image_(image),
      extractor_(std::move(extractor)),
      real_images_(static_cast<std::uint32_t>(images.meta.dims[0])) {
  const Features features = features_of(*extractor_, images);
  real_ = std::make_unique<RealFeatures>(features.values);
  if (!features.probabilities.empty())
    real_histogram_ = class_histogram(features.probabilities);
  if (others.meta.dims[0] == samples_)
    real_distance_ =
        real_->frechet_distance(features_of(*extractor_, others).values);
}

Result<EvaluationRecord> Evaluator::evaluate(const Sampler& generator,
                                             Round round, std::uint64_t seed) {
  const ImageShape& made = generator.image();
  if (made.channels != image_.channels || made.height != image_.height ||
      made.width != image_.width)
    return Error{
        "the generator's images have another size than those of the "
        "evaluation data: give the data that it was trained on",
        ExitCode::kConfiguration};
  EvaluationRecord record;
  record.round = round.value;
  record.samples = samples_;
  record.real_images = real_images_;
  record.features = extractor_->name();
  record.real_frechet_distance = real_distance_;
  const Features features = generated_features(*extractor_, generator, samples_,
                                               seed, record.seconds);

  auto start = Clock::now();
  record.frechet_distance = real_->frechet_distance(features.values);
  lap(start, record.seconds.frechet);
  const MeanAndSpread kernel = real_->kernel_distance(features.values);
  record.kernel_distance_mean = kernel.mean;
  record.kernel_distance_std = kernel.std;
  lap(start, record.seconds.kernel);
  const PrecisionRecall among = real_->precision_recall(features.values);
  record.precision = among.precision;
  record.recall = among.recall;
  record.f_score = among.f_score;
  lap(start, record.seconds.neighbours);
  if (real_histogram_.empty()) return record;
  const MeanAndSpread score = inception_score(features.probabilities);
  ClassScores& classes = record.classes.emplace();
  classes.inception_score_mean = score.mean;
  classes.inception_score_std = score.std;
  classes.histogram = class_histogram(features.probabilities);
  classes.distance = total_variation(classes.histogram, real_histogram_);
  return record;
}

}  // namespace mdgan
