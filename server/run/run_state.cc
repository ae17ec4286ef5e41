#include "server/run/run_state.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <string_view>

#include "common/files/checkpoint_store.h"
#include "common/files/hash.h"
#include "common/keys/key.h"
#include "protocol/algorithm.h"

namespace mdgan {
namespace {

using Json = nlohmann::json;

[[noreturn]] void refuse(std::string_view field, const Json& value) {
  throw std::invalid_argument(fmt::format("{} is {}", field, value.dump()));
}

// nlohmann/json would make 4294967295 of -1 and 1 of 1.5.
template <typename Number>
Number number_of(std::string_view field, const Json& value) {
  if (!value.is_number_unsigned() ||
      value.get<std::uint64_t>() > std::numeric_limits<Number>::max())
    refuse(field, value);
  return value.get<Number>();
}

RunId run_of(const Json& value) {
  const std::string text = value.is_string() ? value.get<std::string>() : "";
  RunId run{};
  if (!from_hex(text, run)) refuse("run", value);
  return run;
}

std::map<std::string, PeerId> names_of(const Json& value) {
  if (!value.is_object()) refuse("names", value);
  std::map<std::string, PeerId> names;
  std::set<PeerId> ids;
  for (const auto& [name, id] : value.items()) {
    const PeerId peer{number_of<std::uint32_t>("a peer's id", id)};
    if (!ids.insert(peer).second)
      throw std::invalid_argument(
          fmt::format("two peers have the id {}", peer.value));
    names[name] = peer;
  }
  return names;
}

std::map<PeerId, DiscriminatorId> discriminators_of(
    const Json& value, const std::map<std::string, PeerId>& names) {
  if (!value.is_array()) refuse("discriminators", value);
  std::map<PeerId, DiscriminatorId> owned;
  std::set<DiscriminatorId> seen;
  for (const Json& entry : value) {
    if (!entry.is_array() || entry.size() != 2) refuse("discriminators", value);
    const PeerId peer{number_of<std::uint32_t>("a peer's id", entry[0])};
    const DiscriminatorId discriminator{
        number_of<std::uint64_t>("a discriminator", entry[1])};
    const bool is_known = std::ranges::any_of(
        names, [&](const auto& name) { return name.second == peer; });
    if (!is_known || !owned.emplace(peer, discriminator).second ||
        !seen.insert(discriminator).second)
      refuse("discriminators", value);
  }
  return owned;
}

std::map<PeerId, std::uint64_t> set_aside_of(
    const Json& value, const std::map<std::string, PeerId>& names) {
  if (!value.is_array()) refuse("set_aside", value);
  std::map<PeerId, std::uint64_t> nonces;
  for (const Json& entry : value) {
    if (!entry.is_array() || entry.size() != 2) refuse("set_aside", value);
    const PeerId peer{number_of<std::uint32_t>("a peer's id", entry[0])};
    const bool is_known = std::ranges::any_of(
        names, [&](const auto& name) { return name.second == peer; });
    if (!is_known ||
        !nonces.emplace(peer, number_of<std::uint64_t>("a nonce", entry[1]))
             .second)
      refuse("set_aside", value);
  }
  return nonces;
}

std::map<PeerId, PublicKey> keys_of(
    const Json& value, const std::map<std::string, PeerId>& names) {
  if (!value.is_object()) refuse("keys", value);
  std::map<PeerId, PublicKey> keys;
  for (const auto& [name, text] : value.items()) {
    const auto peer = names.find(name);
    const auto key = text.is_string() ? public_key_of(text.get<std::string>())
                                      : std::nullopt;
    if (peer == names.end() || !key) refuse("keys", value);
    keys[peer->second] = *key;
  }
  return keys;
}

ImageShape image_of(const Json& value) {
  if (!value.is_array() || value.size() != 4) refuse("image", value);
  const auto part = [&](std::size_t i) {
    return number_of<std::uint32_t>("a part of image", value[i]);
  };
  return {part(0), part(1), part(2), part(3)};
}

ClassNames classes_of(const Json& value, const ImageShape& image) {
  if (!value.is_array()) refuse("classes", value);
  ClassNames classes;
  for (const Json& name : value) {
    if (!name.is_string()) refuse("classes", value);
    classes.push_back(name.get<std::string>());
  }
  if (!defect_of(classes).empty() ||
      (!classes.empty() && classes.size() != image.classes))
    refuse("classes", value);
  return classes;
}

Algorithm algorithm_of(const Json& value) {
  const auto known =
      value.is_string()
          ? value_of(kAlgorithmNames, value.get_ref<const std::string&>())
          : std::nullopt;
  if (!known) refuse("algorithm", value);
  return *known;
}

// Throws when the meta data of the checkpoint of `round` cannot be true.
RunState state_of(const Json& meta, Round round) {
  if (!meta.is_object()) throw std::invalid_argument("it holds no JSON object");
  RunState state;
  state.run = run_of(meta.at("run"));
  if (meta.contains("incarnation"))
    state.incarnation =
        number_of<std::uint32_t>("incarnation", meta["incarnation"]);
  RunPosition& position = state.position;
  position.completed = {
      number_of<std::uint64_t>("completed", meta.at("completed"))};
  if (position.completed != round) refuse("completed", meta["completed"]);
  position.last_swap = {
      number_of<std::uint64_t>("last_swap", meta.at("last_swap"))};
  if (position.last_swap > round) refuse("last_swap", meta["last_swap"]);
  position.names = names_of(meta.at("names"));
  if (meta.contains("discriminators"))  // before they had names: none is known
    position.discriminators =
        discriminators_of(meta["discriminators"], position.names);
  if (meta.contains("set_aside"))  // before it was kept: nobody
    position.set_aside = set_aside_of(meta["set_aside"], position.names);
  if (meta.contains("keys"))  // before there were keys: none
    position.keys = keys_of(meta["keys"], position.names);
  if (meta.contains("algorithm"))  // before there were others: md-gan
    state.algorithm = algorithm_of(meta["algorithm"]);
  state.k = number_of<std::uint32_t>("k", meta.at("k"));
  state.image = image_of(meta.at("image"));
  if (meta.contains("classes"))  // before they had names: none
    state.classes = classes_of(meta["classes"], *state.image);
  return state;
}

}  // namespace

std::string describe_run(const RunState& state, const TrainingSpec& spec) {
  nlohmann::json names = nlohmann::json::object();
  for (const auto& [name, id] : state.position.names) names[name] = id.value;
  nlohmann::json keys = nlohmann::json::object();
  for (const auto& [name, id] : state.position.names)
    if (const auto key = state.position.keys.find(id);
        key != state.position.keys.end())
      keys[name] = to_z85(key->second);
  nlohmann::json discriminators = nlohmann::json::array();
  for (const auto& [peer, discriminator] : state.position.discriminators)
    discriminators.push_back({peer.value, discriminator.value});
  nlohmann::json set_aside = nlohmann::json::array();
  for (const auto& [peer, nonce] : state.position.set_aside)
    set_aside.push_back({peer.value, nonce});
  const nlohmann::json meta{
      {"run", to_hex(state.run)},
      {"incarnation", state.incarnation},
      {"completed", state.position.completed.value},
      {"last_swap", state.position.last_swap.value},
      {"names", names},
      {"discriminators", discriminators},
      {"set_aside", set_aside},
      {"keys", keys},
      {"algorithm", name_of(kAlgorithmNames, spec.algorithm)},
      {"k", state.k},
      {"image",
       {spec.image.channels, spec.image.height, spec.image.width,
        spec.image.classes}},
      {"classes", spec.classes},
      {"model", spec.model},
      {"condition", name_of(kConditionNames, spec.condition)},
  };
  return meta.dump(1);
}

Result<RunState> load_run(const std::filesystem::path& checkpoints,
                          std::optional<Round> round) {
  const CheckpointStore store(checkpoints, 1, 0);
  std::optional<SavedState> saved;
  if (round) {
    auto loaded = store.load(*round);
    if (!loaded) return loaded.error();
    saved = std::move(*loaded);
  } else {
    auto loaded = store.load_latest();
    if (!loaded) return loaded.error();
    saved = std::move(*loaded);
  }
  if (!saved)
    return Error{"no checkpoint in " + checkpoints.string() +
                     ": the run was ended before it saved one. With --run-dir "
                     "in place of --resume it begins",
                 ExitCode::kCheckpoint};
  const std::string folder = fmt::format("{:08}", saved->round.value);
  try {
    RunState state = state_of(nlohmann::json::parse(saved->meta), saved->round);
    state.generator = std::move(saved->tensors);
    return state;
  } catch (const std::exception& e) {
    return Error{
        fmt::format("{} does not say how the run stood: {}",
                    (checkpoints / folder / "meta.json").string(), e.what()),
        ExitCode::kCheckpoint};
  }
}

}  // namespace mdgan
