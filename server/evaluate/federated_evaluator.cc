#include "server/evaluate/federated_evaluator.h"

#include <algorithm>
#include <exception>
#include <functional>
#include <optional>
#include <utility>

#include "common/base/time.h"
#include "common/evaluate/feature_statistics.h"
#include "common/evaluate/metrics.h"
#include "common/files/read_file.h"
#include "common/train/generator/sampler.h"
#include "server/evaluate/generated_features.h"

namespace mdgan {
namespace {

Result<Blob> file_of(const std::filesystem::path& path) {
  const auto bytes = read_file(path, ExitCode::kConfiguration);
  if (!bytes) return bytes.error();
  return copy_blob({protocol::DType::kUint8, {bytes->size()}},
                   std::as_bytes(std::span(*bytes)));
}

// The distance to all images but those of one site.
std::optional<double> distance_without(const FeatureSums& site, FeatureSums all,
                                       const FeatureStatistics& generated) {
  all.images -= site.images;
  if (all.images < 2) return std::nullopt;
  std::ranges::transform(all.sum, site.sum, all.sum.begin(), std::minus());
  std::ranges::transform(all.products, site.products, all.products.begin(),
                         std::minus());
  return frechet_distance(statistics_of(all), generated);
}

}  // namespace

FederatedEvaluator::FederatedEvaluator(Blob file,
                                       std::unique_ptr<Classifier> classifier,
                                       std::uint32_t samples)
    : file_(std::move(file)),
      hash_(sha256(file_.bytes)),
      classifier_(std::move(classifier)),
      samples_(samples) {}

Result<std::unique_ptr<FederatedEvaluator>> FederatedEvaluator::create(
    const std::filesystem::path& classifier, std::uint32_t samples,
    const std::string& device) {
  auto file = file_of(classifier);
  if (!file) return file.error();
  auto made = Classifier::read(*file, classifier.string(), device);
  if (!made) return made.error();
  return std::unique_ptr<FederatedEvaluator>(
      new FederatedEvaluator(std::move(*file), std::move(*made), samples));
}

Result<std::unique_ptr<FederatedEvaluator>> FederatedEvaluator::create(
    const Classifier& classifier, std::uint32_t samples,
    const std::string& device) {
  auto made =
      Classifier::read(classifier.file(), "the data's classifier", device);
  if (!made) return made.error();
  return std::unique_ptr<FederatedEvaluator>(
      new FederatedEvaluator(classifier.file(), std::move(*made), samples));
}

Result<GeneratedImages> FederatedEvaluator::generate(const Sampler& generator,
                                                     std::uint64_t seed) {
  if (auto fits = classifier_->takes(generator.image()); !fits)
    return fits.error();
  try {
    GeneratedImages made;
    const Features features = generated_features(*classifier_, generator,
                                                 samples_, seed, made.seconds);
    TimePoint start = Clock::now();
    made.features = {features.values, neighbour_radii(features.values)};
    lap(start, made.seconds.neighbours);
    made.inception_score = inception_score(features.probabilities);
    made.histogram = class_histogram(features.probabilities);
    return made;
  } catch (const std::exception& e) {
    return not_measured("generated", e);
  }
}

Result<EvaluationRecord> FederatedEvaluator::merge(
    Round round, const GeneratedImages& generated,
    std::span<const MeasuredSite> sites) const {
  EvaluationRecord record;
  record.round = round.value;
  record.samples = samples_;
  record.features = classifier_->name();
  record.seconds = generated.seconds;
  TimePoint start = Clock::now();
  try {
    const FeatureStatistics of_generated =
        statistics_of(generated.features.values);
    FeatureSums all = sites[0].metrics.sums;
    for (const MeasuredSite& site : sites.subspan(1))
      add_to(all, site.metrics.sums);
    record.frechet_distance =
        frechet_distance(statistics_of(all), of_generated);
    for (const auto& [name, metrics] : sites) {
      record.sites.push_back(
          {name, metrics.sums.images, metrics.kernel_distance_mean,
           metrics.kernel_distance_std, metrics.recall,
           distance_without(metrics.sums, all, of_generated)});
      // A recall is a share of the real images, so that theirs together is
      // their mean; the kernel distance of all cannot be had of theirs, and
      // this is the mean of the sites.
      record.recall +=
          metrics.recall * static_cast<double>(metrics.sums.images);
      record.kernel_distance_mean +=
          metrics.kernel_distance_mean / static_cast<double>(sites.size());
      record.kernel_distance_std +=
          metrics.kernel_distance_std / static_cast<double>(sites.size());
    }
    record.recall /= static_cast<double>(all.images);
    record.real_images = all.images;
  } catch (const std::exception& e) {
    return Error{
        std::string("what the peers measured cannot be merged: ") + e.what(),
        ExitCode::kData};
  }
  lap(start, record.seconds.frechet);
  ClassScores& classes = record.classes.emplace();
  classes.inception_score_mean = generated.inception_score.mean;
  classes.inception_score_std = generated.inception_score.std;
  classes.histogram = generated.histogram;
  return record;
}

}  // namespace mdgan
