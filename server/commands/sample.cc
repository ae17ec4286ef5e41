#include <spdlog/spdlog.h>

#include <cmath>

#include "common/files/png.h"
#include "common/tensor/device.h"
#include "server/commands/commands.h"
#include "server/commands/saved_generator.h"

namespace mdgan {

ExitCode run_sample(const SampleOptions& options) {
  const auto saved = load_generator(options.run, {options.round});
  if (!saved) return report(saved.error());
  set_compute_threads(static_cast<int>(saved->options.threads));
  for (const std::int32_t c : options.classes)
    if (c < 0 || static_cast<std::uint32_t>(c) >= saved->spec.image.classes)
      return report({"classes: there is no class " + std::to_string(c) +
                         ", the run has " +
                         std::to_string(saved->spec.image.classes),
                     ExitCode::kUsage});
  if (!options.classes.empty() && saved->spec.condition == Condition::kNone)
    return report(
        {"classes: this run's generator is unconditional and cannot "
         "be asked for a class; leave out --classes",
         ExitCode::kUsage});
  auto trainer = GeneratorTrainer::create(saved->spec, saved->options.device);
  if (!trainer) return report(trainer.error());
  if (const auto loaded = (*trainer)->load(saved->state.generator); !loaded)
    return report(loaded.error());
  // One class an image: the given ones in turn.
  std::vector<std::int32_t> classes;
  for (std::uint32_t i = 0; i < options.count && !options.classes.empty(); ++i)
    classes.push_back(options.classes[i % options.classes.size()]);
  const Blob images = (*trainer)->sample(
      options.count, classes, options.seed.value_or(saved->options.seed));
  const auto columns = static_cast<std::uint32_t>(
      std::ceil(std::sqrt(static_cast<double>(options.count))));
  if (const auto written = write_image_grid(options.out, images, columns);
      !written)
    return report(written.error());
  spdlog::info("{}: {} images of round {}", options.out, options.count,
               saved->state.position.completed.value);
  return ExitCode::kOk;
}

}  // namespace mdgan
