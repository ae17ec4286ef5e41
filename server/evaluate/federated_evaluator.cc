#include "server/evaluate/federated_evaluator.h"

#include <exception>
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
  const auto bytes = read_file(path, ExitCode::kCheckpoint);
  if (!bytes) return bytes.error();
  return copy_blob({protocol::DType::kUint8, {bytes->size()}},
                   std::as_bytes(std::span(*bytes)));
}

// The distance to all sites' images but those of `left_out`.
std::optional<double> distance_without(std::size_t left_out,
                                       const FeatureStatistics& generated,
                                       std::span<const MeasuredSite> sites) {
  std::vector<FeatureSums> others;
  std::uint64_t images = 0;
  for (std::size_t i = 0; i < sites.size(); ++i) {
    if (i == left_out) continue;
    others.push_back(sites[i].metrics.sums);
    images += others.back().images;
  }
  if (images < 2) return std::nullopt;
  return frechet_distance(pooled_statistics(others), generated);
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
    std::vector<FeatureSums> sums;
    for (const MeasuredSite& site : sites) sums.push_back(site.metrics.sums);
    record.frechet_distance =
        frechet_distance(pooled_statistics(sums), of_generated);
    std::uint64_t images = 0;
    for (std::size_t i = 0; i < sites.size(); ++i) {
      const auto& [name, metrics] = sites[i];
      record.sites.push_back({name, metrics.sums.images,
                              metrics.kernel_distance_mean,
                              metrics.kernel_distance_std, metrics.recall,
                              distance_without(i, of_generated, sites)});
      images += metrics.sums.images;
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
    record.recall /= static_cast<double>(images);
    record.real_images = static_cast<std::uint32_t>(images);
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
