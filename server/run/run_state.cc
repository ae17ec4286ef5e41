#include "server/run/run_state.h"

#include <nlohmann/json.hpp>

#include "common/files/checkpoint_store.h"
#include "common/files/hash.h"

namespace mdgan {

std::string describe_run(const RunState& state, const TrainingSpec& spec) {
  nlohmann::json names = nlohmann::json::object();
  for (const auto& [name, id] : state.position.names) names[name] = id.value;
  const nlohmann::json meta{
      {"run", to_hex(state.run)},
      {"completed", state.position.completed.value},
      {"last_swap", state.position.last_swap.value},
      {"names", names},
      {"algorithm", name_of(kAlgorithmNames, spec.algorithm)},
      {"k", state.k},
      {"image",
       {spec.image.channels, spec.image.height, spec.image.width,
        spec.image.classes}},
      {"model", spec.model},
      {"condition", name_of(kConditionNames, spec.condition)},
  };
  return meta.dump(1);
}

Result<RunState> load_run(const std::filesystem::path& checkpoints,
                          Round round) {
  const CheckpointStore store(checkpoints, 1, 0);
  std::optional<SavedState> saved;
  if (round.value > 0) {
    auto loaded = store.load(round);
    if (!loaded) return loaded.error();
    saved = std::move(*loaded);
  } else {
    auto loaded = store.load_latest();
    if (!loaded) return loaded.error();
    saved = std::move(*loaded);
  }
  if (!saved)
    return Error{"no checkpoint in " + checkpoints.string() +
                     ": the run was stopped before it saved one; start it anew",
                 ExitCode::kCheckpoint};
  const auto meta = nlohmann::json::parse(saved->meta, nullptr, false);
  try {
    RunState state;
    const std::string run = meta.at("run");
    for (std::size_t i = 0; i < state.run.size(); ++i)
      state.run[i] = std::byte(std::stoul(run.substr(2 * i, 2), nullptr, 16));
    state.position.completed = {meta.at("completed")};
    state.position.last_swap = {meta.at("last_swap")};
    for (const auto& [name, id] : meta.at("names").items())
      state.position.names[name] = {id.get<std::uint32_t>()};
    if (meta.contains("algorithm"))  // before there were others: md-gan
      state.algorithm =
          value_of(kAlgorithmNames, meta["algorithm"].get<std::string>())
              .value_or(Algorithm::kMdGan);
    state.k = meta.at("k");
    const auto& image = meta.at("image");
    state.image = {image.at(0), image.at(1), image.at(2), image.at(3)};
    state.generator = std::move(saved->tensors);
    return state;
  } catch (const std::exception& e) {
    return Error{"the checkpoint of round " +
                     std::to_string(saved->round.value) + " in " +
                     checkpoints.string() +
                     " lacks what a run needs: " + e.what(),
                 ExitCode::kCheckpoint};
  }
}

}  // namespace mdgan
