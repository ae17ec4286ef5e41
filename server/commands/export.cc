#include <spdlog/spdlog.h>

#include <map>
#include <string>

#include "common/files/output_file.h"
#include "common/files/safetensors.h"
#include "server/commands/commands.h"
#include "server/commands/saved_generator.h"

namespace mdgan {

ExitCode run_export(const ExportOptions& options) {
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
