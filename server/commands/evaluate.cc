#include <spdlog/fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <optional>
#include <utility>
#include <vector>

#include "common/base/terminal.h"
#include "common/evaluate/feature_statistics.h"
#include "common/files/checkpoint_store.h"
#include "common/tensor/precision.h"
#include "server/commands/commands.h"
#include "server/commands/make_evaluator.h"
#include "server/commands/saved_generator.h"
#include "server/evaluate/utility.h"
#include "server/run/run_directory.h"

namespace mdgan {
namespace {

std::string text_of(const EvaluationRecord& r) {
  std::string text = fmt::format(
      "round {}\n"
      "  frechet_inception_distance     {:.4f}\n"
      "  kernel_inception_distance      {:.6f} +- {:.6f}\n",
      r.round, r.frechet_distance, r.kernel_distance_mean,
      r.kernel_distance_std);
  if (r.classes)
    text += fmt::format("  inception_score                {:.4f} +- {:.4f}\n",
                        r.classes->inception_score_mean,
                        r.classes->inception_score_std);
  text +=
      fmt::format("  precision, recall, f_score     {:.4f}  {:.4f}  {:.4f}\n",
                  r.precision.value_or(NAN), r.recall, r.f_score.value_or(NAN));
  if (r.classes)
    text += fmt::format(
        "  class_distance                 {:.4f}\n"
        "  class_histogram                {:.3f}\n",
        r.classes->distance.value_or(NAN),
        fmt::join(r.classes->histogram, " "));
  if (r.utility)
    text += fmt::format(
        "  classifier_accuracy            {:.4f} trained on {} generated "
        "images, {:.4f} on real ones\n",
        r.utility->generated, r.utility->images, r.utility->real);
  const EvaluationRecord::Seconds& s = r.seconds;
  text += fmt::format(
      "  {} generated and {} real images; features of {}\n"
      "  {:.1f} s: images {:.1f}, features {:.1f}, FID {:.1f}, KID {:.1f}, "
      "precision and recall {:.1f}\n",
      r.samples, r.real_images, r.features, s.total(), s.generate, s.extract,
      s.frechet, s.kernel, s.neighbours);
  return text;
}

std::vector<Round> rounds_of(const EvaluateOptions& options) {
  if (!options.all) return {{options.round}};
  const CheckpointStore store(
      std::filesystem::path(options.run) / "checkpoints", 1, 0);
  std::vector<Round> rounds = store.rounds();
  std::erase(rounds, Round{});  // nothing has been learnt before round 1
  return rounds;
}

// Measures the checkpoint of `round`, keeps the result in the run if
// `directory` is given, and prints it.
Result<void> evaluate_round(const EvaluateOptions& options,
                            const ServerOptions& run, Round round,
                            Evaluator& evaluator, const EvaluationData* data,
                            const RunDirectory* directory) {
  auto saved = load_generator(options.run, round);
  if (!saved) return saved.error();
  const Round at = saved->state.position.completed;
  const ClassNames classes = saved->state.classes;
  const auto sampler = make_sampler(std::move(*saved), !options.no_ema);
  if (!sampler) return sampler.error();
  auto measured = evaluator.evaluate(**sampler, at, run.seed);
  if (!measured) return measured.error();
  if (data != nullptr) {
    const auto utility = measure_utility(**sampler, classes, *data,
                                         classifier_options(run), run.seed);
    if (!utility) return utility.error();
    measured->utility = *utility;
  }
  // The files come first: a full disk behind stdout does not cost them.
  if (directory != nullptr)
    if (auto kept = keep_evaluation(directory->path(), *measured); !kept)
      return kept;
  return write_stdout(text_of(*measured));
}

// FID alone, of statistics in place of images.
Result<void> compare_round(const EvaluateOptions& options,
                           const ServerOptions& run, Round round,
                           FeatureExtractor& extractor,
                           const FeatureStatistics& against) {
  auto saved = load_generator(options.run, round);
  if (!saved) return saved.error();
  const Round at = saved->state.position.completed;
  const auto sampler = make_sampler(std::move(*saved), !options.no_ema);
  if (!sampler) return sampler.error();
  const auto generated = generated_statistics(extractor, **sampler,
                                              run.evaluate_samples, run.seed);
  if (!generated) return generated.error();
  if (generated->mean.size() != against.mean.size())
    return Error{
        fmt::format("{} is of {} features, and {} gives {}: give the network "
                    "that it was made with by --features",
                    options.against, against.mean.size(), extractor.name(),
                    generated->mean.size()),
        ExitCode::kConfiguration};
  return write_stdout(
      fmt::format("round {}\n"
                  "  frechet_inception_distance     {:.4f}\n"
                  "  {} generated images against {}; features of {}\n",
                  at.value, frechet_distance(*generated, against),
                  run.evaluate_samples, options.against, extractor.name()));
}

ExitCode compare(const EvaluateOptions& options, const ServerOptions& run) {
  const auto against = read_statistics(options.against);
  if (!against) return report(against.error());
  const auto evaluator = evaluator_options(run);
  if (!evaluator) return report(evaluator.error());
  const auto extractor = make_extractor(*evaluator);
  if (!extractor) return report(extractor.error());
  ExitCode code = ExitCode::kOk;
  for (const Round round : rounds_of(options)) {
    const auto done = compare_round(options, run, round, **extractor, *against);
    if (!done) code = report(done.error());  // --all goes on with the others
  }
  return code;
}

}  // namespace

ExitCode run_evaluate(const EvaluateOptions& options) {
  // A missing checkpoint is told before a classifier is trained for minutes.
  const auto saved =
      load_generator(options.run, options.all ? Round{} : Round{options.round});
  if (!saved) return report(saved.error());
  const ServerOptions run = measured_with(options.measure, saved->options);
  if (const auto set = set_precision(run.precision, run.device); !set)
    return report(set.error());
  if (!options.against.empty()) return compare(options, run);
  if (evaluation_folder(run).empty())
    return report(
        Error{"the run has no data of its own: give the real images with "
              "--data DIR, or their statistics with --against FILE",
              ExitCode::kUsage});
  const auto evaluator = make_evaluator(run);
  if (!evaluator) return report(evaluator.error());

  std::optional<EvaluationData> data;
  if (options.tstr) {
    if (saved->spec.condition == Condition::kNone)
      return report(
          Error{"--tstr is for a generator that can be asked for a class; this "
                "run's is unconditional",
                ExitCode::kConfiguration});
    auto loaded = load_evaluation_data(evaluation_folder(run), run.reading);
    if (!loaded) return report(loaded.error());
    data.emplace(std::move(*loaded));
  }

  // Held while the results are written: training writes the same files.
  std::optional<RunDirectory> directory;
  if (!options.no_ema) {
    auto opened = RunDirectory::reopen(options.run);
    if (opened)
      directory.emplace(std::move(*opened));
    else
      spdlog::warn("the results are only printed: {}", opened.error().message);
  }
  ExitCode code = ExitCode::kOk;
  for (const Round round : rounds_of(options)) {
    const auto done = evaluate_round(options, run, round, **evaluator,
                                     data ? &*data : nullptr,
                                     directory ? &*directory : nullptr);
    if (!done) code = report(done.error());  // --all goes on with the others
  }
  return code;
}

}  // namespace mdgan
