#include "server/commands/make_evaluator.h"

#include <cstdlib>
#include <span>
#include <utility>

#include "common/evaluate/evaluation_data.h"
#include "common/tensor/device.h"
#include "server/evaluate/federated_evaluator.h"

namespace mdgan {
namespace {

std::filesystem::path cache_folder(const std::string& given) {
  if (!given.empty()) return given;
  for (const auto& [variable, below] :
       {std::pair("XDG_CACHE_HOME", "mdgan"), {"HOME", ".cache/mdgan"}}) {
    const char* const value = std::getenv(variable);
    if (value != nullptr && *value != '\0')
      return std::filesystem::path(value) / below;
  }
  return {};
}

}  // namespace

std::filesystem::path evaluation_folder(const ServerOptions& options) {
  return options.evaluate_data.empty() ? options.data : options.evaluate_data;
}

ClassifierOptions classifier_options(const ServerOptions& options) {
  ClassifierOptions classifier;
  classifier.cache = cache_folder(options.evaluate_cache);
  classifier.device = options.device;
  return classifier;
}

ServerOptions measured_with(const MeasureOptions& given, ServerOptions run) {
  if (!given.data.empty()) run.evaluate_data = given.data;
  if (!given.features.empty()) run.evaluate_features = given.features;
  if (!given.cache.empty()) run.evaluate_cache = given.cache;
  if (given.samples > 0) run.evaluate_samples = given.samples;
  return run;
}

Result<EvaluatorOptions> evaluator_options(const ServerOptions& options) {
  if (evaluation_folder(options).empty() && options.evaluate_features.empty())
    return Error{
        "the run has no data of its own: give the real images with --data DIR, "
        "or what gives features with --features FILE",
        ExitCode::kUsage};
  // With the run's threads the same numbers come out every time.
  set_compute_threads(static_cast<int>(options.threads));
  EvaluatorOptions evaluator;
  evaluator.data = evaluation_folder(options);
  evaluator.reading = options.reading;
  evaluator.features = options.evaluate_features;
  evaluator.cache = cache_folder(options.evaluate_cache);
  evaluator.samples = options.evaluate_samples;
  evaluator.device = options.device;
  return evaluator;
}

Result<EvaluationAtPeers> make_evaluation_at_peers(
    const ServerOptions& options) {
  set_compute_threads(static_cast<int>(options.threads));
  using Made = Result<std::unique_ptr<FederatedEvaluator>>;
  const auto make = [&options]() -> Made {
    if (!options.evaluate_classifier.empty())
      return FederatedEvaluator::create(
          std::filesystem::path(options.evaluate_classifier),
          options.evaluate_samples, options.device);
    const auto data =
        load_evaluation_data(evaluation_folder(options), options.reading);
    if (!data) return data.error();
    const auto classifier =
        Classifier::obtain(*data, classifier_options(options));
    if (!classifier) return classifier.error();
    return FederatedEvaluator::create(**classifier, options.evaluate_samples,
                                      options.device);
  };
  auto made = make();
  if (!made) return made.error();
  const std::shared_ptr<FederatedEvaluator> evaluator = std::move(*made);
  return EvaluationAtPeers{
      evaluator->file(), evaluator->hash(),
      [evaluator](const ImageShape& image) { return evaluator->takes(image); },
      [evaluator](const Sampler& generator, std::uint64_t seed) {
        return evaluator->generate(generator, seed);
      },
      [evaluator](Round round, const GeneratedImages& generated,
                  std::span<const MeasuredSite> sites) {
        return evaluator->merge(round, generated, sites);
      }};
}

Result<std::unique_ptr<Evaluator>> make_evaluator(
    const ServerOptions& options) {
  const auto evaluator = evaluator_options(options);
  return evaluator ? Evaluator::create(*evaluator) : evaluator.error();
}

}  // namespace mdgan
