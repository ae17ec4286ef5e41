#include <spdlog/spdlog.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "common/evaluate/feature_statistics.h"
#include "common/files/output_file.h"
#include "common/files/safetensors.h"
#include "common/tensor/precision.h"
#include "server/commands/commands.h"
#include "server/commands/make_evaluator.h"
#include "server/commands/saved_generator.h"
#include "server/run/run_directory.h"

namespace mdgan {
namespace {

// The mean and covariance of features of images.
Result<std::string> export_statistics(const ExportOptions& options) {
  auto saved = load_generator(options.run, {options.round});
  if (!saved) return saved.error();
  const Round round = saved->state.position.completed;
  const ServerOptions run = measured_with(options.measure, saved->options);
  if (const auto set = set_precision(run.precision, run.device); !set)
    return set.error();
  const auto evaluator = evaluator_options(run);
  if (!evaluator) return evaluator.error();
  if (options.real && evaluator->data.empty())
    return Error{
        "the run has no data of its own: give the real images with "
        "--data DIR",
        ExitCode::kUsage};
  const auto extractor = make_extractor(*evaluator);
  if (!extractor) return extractor.error();
  Result<FeatureStatistics> statistics = FeatureStatistics{};
  if (options.real) {
    statistics = real_statistics(**extractor, *evaluator);
  } else {
    const auto sampler = make_sampler(std::move(*saved), options.ema);
    if (!sampler) return sampler.error();
    statistics = generated_statistics(**extractor, **sampler,
                                      evaluator->samples, run.seed);
  }
  if (!statistics) return statistics.error();
  if (auto written = write_statistics(options.out, *statistics); !written)
    return written.error();
  return fmt::format(
      "{}: mean and covariance of {} features of {}; features of {}",
      options.out, statistics->mean.size(),
      options.real ? "the real images"
                   : fmt::format("{} images of round {}", evaluator->samples,
                                 round.value),
      (*extractor)->name());
}

}  // namespace

ExitCode run_export(const ExportOptions& options) {
  if (const auto free = check_output(options.out, options.run); !free)
    return report(free.error());
  if (options.format == ExportFormat::kNpz) {
    const auto done = export_statistics(options);
    if (!done) return report(done.error());
    spdlog::info("{}", *done);
    return ExitCode::kOk;
  }
  const auto saved = load_generator(options.run, {options.round});
  if (!saved) return report(saved.error());
  const bool has_ema = saved->spec.ema > 0;
  const std::string weights = options.ema && has_ema ? "ema" : "generator";
  std::vector<NamedBlob> tensors;
  for (const NamedBlob& tensor : saved->state.generator)
    if (tensor.name.starts_with(weights + "."))
      tensors.push_back({tensor.name.substr(weights.size() + 1), tensor.blob});
  const GeneratorSpec& spec = saved->spec;
  const std::map<std::string, std::string> metadata{
      {"format", "pt"},  // what Python's loaders look for
      {"model", spec.model},
      {"condition", std::string(name_of(kConditionNames, spec.condition))},
      {"latent", std::to_string(spec.latent)},
      {"channels", std::to_string(spec.image.channels)},
      {"height", std::to_string(spec.image.height)},
      {"width", std::to_string(spec.image.width)},
      {"classes", std::to_string(spec.image.classes)},
      // What the labels mean, as a JSON array; empty: nothing.
      {"class_names", nlohmann::json(saved->state.classes).dump()},
      {"weights", weights},
      {"round", std::to_string(saved->state.position.completed.value)},
  };
  if (const auto written =
          write_safetensors(options.out, tensors, metadata, write_output);
      !written)
    return report(written.error());
  spdlog::info("{}: {} tensors of {} ({}), round {}", options.out,
               tensors.size(), spec.model, weights, metadata.at("round"));
  return ExitCode::kOk;
}

}  // namespace mdgan
