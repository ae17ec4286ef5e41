#include "server/run_options.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "common/files/checkpoint_store.h"
#include "common/files/json_depth.h"
#include "common/models/script_file.h"
#include "server/train_options.h"

namespace mdgan {
namespace {

namespace fs = std::filesystem;

// What a start may choose anew: it changes where, how long and how watched a
// run trains, but not what it is.
constexpr std::array<std::string_view, 31> kOfTheStart{"name",
                                                       "rounds",
                                                       "bind",
                                                       "key",
                                                       "authorized-peers",
                                                       "min-peers",
                                                       "data",
                                                       "skip-bad",
                                                       "round-timeout",
                                                       "quorum",
                                                       "quorum-timeout",
                                                       "swap-timeout",
                                                       "evaluate-every",
                                                       "evaluate-data",
                                                       "evaluate-samples",
                                                       "evaluate-cache",
                                                       "evaluate-features",
                                                       "evaluate-at",
                                                       "evaluate-classifier",
                                                       "device",
                                                       "threads",
                                                       "stats-every",
                                                       "samples-every",
                                                       "tensorboard",
                                                       "checkpoint-every",
                                                       "keep-last",
                                                       "keep-every",
                                                       "quiet",
                                                       "http",
                                                       "http-token",
                                                       "precision"};

// What the saved state cannot take otherwise.
constexpr std::array<std::string_view, 7> kOfTheState{
    "algorithm", "model", "condition", "latent", "k", "image", "classes"};

struct Setting {
  std::string key;
  std::string value;
};

std::vector<Setting> settings_of(const ServerOptions& options) {
  ServerOptions copy = options;
  const std::string text = train_table(copy).effective();
  std::vector<Setting> settings;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    const std::size_t equals = line.find(" =");
    if (line.starts_with('#') || equals == line.npos) continue;
    settings.push_back({line.substr(0, equals),
                        line.substr(std::min(equals + 3, line.size()))});
  }
  return settings;
}

bool contains(std::span<const std::string_view> keys, std::string_view key) {
  return std::ranges::find(keys, key) != keys.end();
}

// The run's data decided these: they are compared with its checkpoint.
bool is_open(const Setting& setting) {
  return (setting.key == "image" && setting.value.empty()) ||
         (setting.key == "classes" && setting.value.empty());
}

// The k that a run began with whose configuration leaves it to the number of
// peers; empty where that cannot be read, which others tell of.
std::string begun_k(const fs::path& run) {
  const CheckpointStore store(run / "checkpoints", 1, 0);
  const auto rounds = store.rounds();
  if (rounds.empty()) return "";
  const auto meta = store.meta(rounds.back());
  if (!meta || !nests_at_most(*meta, kNestingOfRunFiles)) return "";
  const auto json = nlohmann::json::parse(*meta, nullptr, false);
  const auto k = json.is_object() ? json.find("k") : json.end();
  return json.is_object() && k != json.end() ? k->dump() : "";
}

// The saved state has a moving average, or has none.
bool makes_or_drops_ema(const Setting& theirs, const Setting& ours) {
  return theirs.key == "ema" && (theirs.value == "0") != (ours.value == "0");
}

std::string shown(const std::string& value) {
  return value.empty() ? "empty" : value;
}

Result<ServerOptions> options_of_run(const fs::path& run) {
  ServerOptions options;
  OptionTable table = train_table(options);
  options.config = (run / "config.ini").string();
  if (auto read = table.parse(
          {}, {}, [&] { return std::vector<fs::path>{options.config}; });
      !read)
    return read.error();
  return resolve(std::move(options));
}

}  // namespace

std::optional<fs::path> run_to_go_on_with(const ServerOptions& options) {
  if (!options.resume.empty()) return options.resume;
  const fs::path run = options.run_dir;
  std::error_code ignored;  // RunDirectory says what is wrong with the folder
  if (run.empty() || CheckpointStore(run / "checkpoints", 1, 0).empty() ||
      !fs::exists(run / "config.ini", ignored))
    return std::nullopt;
  return run;
}

Result<void> check_against_run(const ServerOptions& options,
                               const fs::path& run) {
  const auto own = options_of_run(run);
  if (!own) return own.error();
  std::vector<Setting> theirs = settings_of(*own);
  const std::vector<Setting> ours = settings_of(options);
  const bool resumes = !options.resume.empty();
  std::string contradictions;
  bool state = false;
  for (std::size_t i = 0; i < theirs.size(); ++i) {
    Setting& setting = theirs[i];
    if (setting.key == "k" && setting.value == "0" && ours[i].value != "0")
      if (const std::string k = begun_k(run); !k.empty()) setting.value = k;
    const bool fixed = contains(kOfTheState, setting.key) ||
                       makes_or_drops_ema(setting, ours[i]);
    if (setting.value == ours[i].value || is_open(setting) ||
        contains(kOfTheStart, setting.key) || (resumes && !fixed))
      continue;
    state = state || fixed;
    contradictions +=
        fmt::format("{}{} = {}, not {}", contradictions.empty() ? "" : "; ",
                    setting.key, shown(setting.value), shown(ours[i].value));
  }
  if (contradictions.empty()) return {};
  return Error{
      fmt::format("the run in {} has {}: leave that out to go on with it{}, or "
                  "begin another run with another --run-dir",
                  run.string(), contradictions,
                  state ? "" : ", change it by --resume in place of --run-dir"),
      ExitCode::kConfiguration};
}

Result<void> resolve_model(ServerOptions& o) {
  if (!o.model.starts_with(kScriptPrefix)) return {};
  fs::path file = o.model.substr(kScriptPrefix.size());
  if (!is_script(o.model)) {
    auto name = add_script(file);
    if (!name) return name.error();
    o.model = std::move(*name);
    if (o.name.empty() && o.config.empty()) o.name = file.stem().string();
    return {};
  }
  if (find_script(o.model)) return {};
  const auto run = run_to_go_on_with(o);
  file = run ? *run : fs::path(o.config).parent_path();
  file /= kScriptInRun;
  const auto name = add_script(file);
  if (!name || *name != o.model)
    return Error{
        fmt::format("the model is the TorchScript file {}, and {}: give it "
                    "with --model script:FILE",
                    o.model,
                    name ? file.string() + " is another, " + *name
                         : name.error().message),
        ExitCode::kConfiguration};
  return {};
}

}  // namespace mdgan
