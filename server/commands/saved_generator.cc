#include "server/commands/saved_generator.h"

#include "server/command_options.h"
#include "server/run/run_configuration.h"

namespace mdgan {

Result<SavedGenerator> load_generator(const std::filesystem::path& run,
                                      Round round) {
  const std::string config = (run / "config.ini").string();
  if (!std::filesystem::exists(config))
    return Error{run.string() +
                     " is not the folder of a run: it has no "
                     "config.ini; give one like runs/00001-mnist-mlp",
                 ExitCode::kCheckpoint};
  if (auto whole = check_configuration(run); !whole) return whole.error();
  const char* const arguments[] = {"mdgan-server", "train", "--config",
                                   config.c_str()};
  const auto parsed = parse_server_options(4, arguments);
  if (!parsed) return parsed.error();
  SavedGenerator saved;
  saved.options = std::get<ServerOptions>(*parsed);
  auto state = round.value > 0 ? load_run(run / "checkpoints", round)
                               : load_run(run / "checkpoints");
  if (!state) return state.error();
  saved.state = std::move(*state);
  std::erase_if(saved.state.generator, [](const NamedBlob& item) {
    return item.name.starts_with("discriminator.");  // of fl-gan and the like
  });
  if (saved.state.classes.empty() &&
      saved.options.condition != Condition::kNone)  // of before they had names
    saved.state.classes = numbered_classes(saved.state.image->classes);
  saved.spec = generator_spec(saved.options, *saved.state.image, saved.state.k);
  return saved;
}

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

}  // namespace mdgan
