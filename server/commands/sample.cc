#include <spdlog/spdlog.h>

#include <cmath>

#include "common/files/png.h"
#include "common/tensor/device.h"
#include "server/commands/commands.h"
#include "server/commands/saved_generator.h"
#include "server/run/run_directory.h"
#include "server/run/sample_grid.h"

namespace mdgan {

ExitCode run_sample(const SampleOptions& options) {
  if (const auto free = check_output(options.out, options.run); !free)
    return report(free.error());
  const auto saved = load_generator(options.run, {options.round});
  if (!saved) return report(saved.error());
  set_compute_threads(static_cast<int>(saved->options.threads));
  if (!options.classes.empty() && saved->spec.condition == Condition::kNone)
    return report(
        {"classes: this run's generator is unconditional and cannot "
         "be asked for a class; leave out --classes",
         ExitCode::kUsage});
  std::vector<std::int32_t> chosen;
  for (const std::string& name : options.classes) {
    const auto place = place_of(name, saved->state.classes);
    if (!place)
      return report({"classes: there is no class '" + name + "', the run has " +
                         listed(saved->state.classes),
                     ExitCode::kUsage});
    chosen.push_back(static_cast<std::int32_t>(*place));
  }
  std::vector<std::string> in_turn;
  for (const std::int32_t place : chosen)
    in_turn.push_back(saved->state.classes[static_cast<std::size_t>(place)]);
  if (chosen.empty() && saved->spec.condition != Condition::kNone)
    in_turn = saved->state.classes;
  auto trainer = GeneratorTrainer::create(saved->spec, saved->options.device);
  if (!trainer) return report(trainer.error());
  if (const auto loaded = (*trainer)->load(saved->state.generator); !loaded)
    return report(loaded.error());
  // One class an image: the given ones in turn.
  std::vector<std::int32_t> classes;
  for (std::uint32_t i = 0; i < options.count && !chosen.empty(); ++i)
    classes.push_back(chosen[i % chosen.size()]);
  const Blob images = (*trainer)->sample(
      options.count, classes, options.seed.value_or(saved->options.seed));
  const SampleGrid grid =
      sample_grid(static_cast<std::uint32_t>(
                      std::ceil(std::sqrt(static_cast<double>(options.count)))),
                  in_turn);
  if (const auto written =
          write_image_grid(options.out, images, grid.columns, grid.names);
      !written)
    return report(written.error());
  spdlog::info("{}: {} images of round {}", options.out, options.count,
               saved->state.position.completed.value);
  return ExitCode::kOk;
}

}  // namespace mdgan
