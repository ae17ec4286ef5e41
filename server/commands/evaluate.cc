#include <spdlog/spdlog.h>

#include <optional>
#include <utility>
#include <vector>

#include "common/base/terminal.h"
#include "common/files/checkpoint_store.h"
#include "common/tensor/precision.h"
#include "common/train/generator/sampler.h"
#include "server/commands/commands.h"
#include "server/commands/make_evaluator.h"
#include "server/commands/saved_generator.h"
#include "server/run/run_directory.h"

namespace mdgan {
namespace {

// The run's options, with what the command line says instead.
Result<ServerOptions> merged(const EvaluateOptions& given,
                             ServerOptions options) {
  if (!given.data.empty()) options.evaluate_data = given.data;
  if (!given.features.empty()) options.evaluate_features = given.features;
  if (!given.cache.empty()) options.evaluate_cache = given.cache;
  if (given.samples > 0) options.evaluate_samples = given.samples;
  if (options.evaluate_data.empty() && options.data.empty())
    return Error{
        "the run has no data of its own: give the real images with --data DIR",
        ExitCode::kUsage};
  return options;
}

// A sampler of the moving average; of the weights under training where there is
// none, or `use_ema` is false.
Result<std::unique_ptr<Sampler>> make_sampler(SavedGenerator saved,
                                              bool use_ema) {
  if (!use_ema) {
    saved.spec.ema = 0;
    std::erase_if(saved.state.generator, [](const NamedBlob& tensor) {
      return tensor.name.starts_with("ema.");
    });
  }
  auto trainer = GeneratorTrainer::create(saved.spec, saved.options.device);
  if (!trainer) return trainer.error();
  if (const auto loaded = (*trainer)->load(saved.state.generator); !loaded)
    return loaded.error();
  return (*trainer)->sampler();
}

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
                  r.precision, r.recall, r.f_score);
  if (r.classes)
    text += fmt::format(
        "  class_distance                 {:.4f}\n"
        "  class_histogram                {:.3f}\n",
        r.classes->distance, fmt::join(r.classes->histogram, " "));
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
Result<void> evaluate_round(const EvaluateOptions& options, Round round,
                            std::uint64_t seed, Evaluator& evaluator,
                            const RunDirectory* directory) {
  auto saved = load_generator(options.run, round);
  if (!saved) return saved.error();
  const Round at = saved->state.position.completed;
  const auto sampler = make_sampler(std::move(*saved), !options.no_ema);
  if (!sampler) return sampler.error();
  const auto measured = evaluator.evaluate(**sampler, at, seed);
  if (!measured) return measured.error();
  // The files come first: a full disk behind stdout does not cost them.
  if (directory != nullptr)
    if (auto kept = keep_evaluation(directory->path(), *measured); !kept)
      return kept;
  return write_stdout(text_of(*measured));
}

}  // namespace

ExitCode run_evaluate(const EvaluateOptions& options) {
  // A missing checkpoint is told before a classifier is trained for minutes.
  const auto saved =
      load_generator(options.run, options.all ? Round{} : Round{options.round});
  if (!saved) return report(saved.error());
  const auto run = merged(options, saved->options);
  if (!run) return report(run.error());
  if (const auto set = set_precision(run->precision, run->device); !set)
    return report(set.error());
  const auto evaluator = make_evaluator(*run);
  if (!evaluator) return report(evaluator.error());

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
    const auto done = evaluate_round(options, round, run->seed, **evaluator,
                                     directory ? &*directory : nullptr);
    if (!done) code = report(done.error());  // --all goes on with the others
  }
  return code;
}

}  // namespace mdgan
