#include "server/commands/inspect.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <system_error>
#include <vector>

#include "common/base/words.h"
#include "common/files/checkpoint_store.h"
#include "common/files/json_depth.h"
#include "common/files/safetensors.h"
#include "protocol/clean_text.h"

namespace mdgan {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using Rows = std::vector<std::vector<std::string>>;

constexpr std::size_t kMostText = 100;
constexpr std::size_t kMostTensors = 1000;
constexpr std::size_t kMostNames = 10;

Error cannot(std::string message) {
  return {std::move(message), ExitCode::kCheckpoint};
}

std::string shown(const std::string& text) {
  return clipped(protocol::presentable(text), kMostText);
}

const char* type_name(protocol::DType type) {
  switch (type) {
    case protocol::DType::kInt32:
      return "int32";
    case protocol::DType::kInt64:
      return "int64";
    default:
      return "float32";  // a safetensors file of ours has no other
  }
}

std::uint64_t values_of(const NamedBlob& tensor) {
  return tensor.blob.bytes.size() / bytes_of(tensor.blob.meta.dtype);
}

std::string shape_of(const NamedBlob& tensor) {
  return fmt::format("[{}]", fmt::join(tensor.blob.meta.dims, ", "));
}

// What is no parameter: the running statistics of normalisation.
bool is_buffer(std::string_view name) {
  return name.ends_with(".running_mean") || name.ends_with(".running_var") ||
         name.ends_with(".num_batches_tracked");
}

std::string size_line(const std::string& what,
                      std::span<const NamedBlob> tensors,
                      std::string_view prefix) {
  std::uint64_t count = 0;
  std::uint64_t values = 0;
  std::uint64_t bytes = 0;
  for (const NamedBlob& tensor : tensors) {
    if (!tensor.name.starts_with(prefix)) continue;
    ++count;
    bytes += tensor.blob.bytes.size();
    if (!is_buffer(tensor.name)) values += values_of(tensor);
  }
  return fmt::format(
      "{}: {}, {}, {}\n", what, plural(count, "tensor"),
      plural(values, what.starts_with("adam") ? "value" : "parameter"),
      bytes_words(bytes));
}

std::string table_of(std::span<const NamedBlob> tensors) {
  Rows rows{{"tensor", "type", "shape", "values"}};
  for (const NamedBlob& tensor :
       tensors.first(std::min(tensors.size(), kMostTensors)))
    rows.push_back({shown(tensor.name), type_name(tensor.blob.meta.dtype),
                    shape_of(tensor), count_words(values_of(tensor))});
  return "\n" + table_text(rows);
}

// A checkpoint's tensors are those of several parts: "ema.layer.weight".
std::string parts_of(std::span<const NamedBlob> tensors) {
  std::vector<std::string> parts;
  for (const NamedBlob& tensor : tensors) {
    const std::string part = tensor.name.substr(0, tensor.name.find('.'));
    if (std::ranges::find(parts, part) == parts.end()) parts.push_back(part);
  }
  std::string text;
  for (const std::string& part : parts)
    text += size_line(shown(part), tensors, part);
  return text;
}

std::string names_words(const Json& names) {
  std::string text = plural(names.size(), "peer");
  std::size_t shown_names = 0;
  for (const auto& [name, id] : names.items()) {
    if (shown_names == kMostNames) break;
    text += (shown_names++ == 0 ? ": " : ", ") + shown(name);
  }
  return names.size() > kMostNames ? text + ", ..." : text;
}

// Null where it is damaged.
Json parsed(const std::string& meta) {
  return nests_at_most(meta, kNestingOfRunFiles)
             ? Json::parse(meta, nullptr, /*allow_exceptions=*/false)
             : Json();
}

std::string image_words(const Json& image) {
  return fmt::format("{}x{}x{}, {} classes", image[0].dump(), image[1].dump(),
                     image[2].dump(), image[3].dump());
}

// The meta.json of a server's or a peer's checkpoint, whatever it has.
std::string meta_text(const std::string& meta) {
  const Json json = parsed(meta);
  if (!json.is_object()) return "its meta.json is damaged\n";
  Rows rows;
  for (const auto& [key, value] : json.items()) {
    if (key == "names" && value.is_object())
      rows.push_back({"peers", names_words(value)});
    else if (key == "image" && value.is_array() && value.size() == 4)
      rows.push_back({key, image_words(value)});
    else if (value.is_string())
      rows.push_back({shown(key), shown(value.get<std::string>())});
    else if (!value.is_structured())
      rows.push_back({shown(key), value.dump()});
  }
  return table_text(rows);
}

std::string state_text(const SavedState& state) {
  return meta_text(state.meta) + parts_of(state.tensors) +
         table_of(state.tensors);
}

bool is_of_server(const std::string& meta) {
  const Json json = parsed(meta);
  return json.is_object() && json.contains("completed");
}

Result<std::string> inspect_file(const fs::path& path) {
  const auto file = read_safetensors(path);
  if (!file) return file.error();
  const bool is_export = file->metadata.contains("weights");
  const bool is_checkpoint = path.filename() == "state.safetensors";
  std::string text = fmt::format(
      "{}: {}\n", shown(path.string()),
      is_export       ? "the generator of a run, exported"
      : is_checkpoint ? "the tensors of a checkpoint; its folder says more"
                      : "a safetensors file, not one of mdgan-server export");
  Rows rows;
  for (const auto& [key, value] : file->metadata)
    rows.push_back({shown(key), shown(value)});
  text += table_text(rows);
  text += is_checkpoint ? parts_of(file->tensors)
                        : size_line("all", file->tensors, "");
  return text + table_of(file->tensors);
}

Result<std::string> inspect_checkpoint(fs::path folder) {
  if (!folder.has_filename()) folder = folder.parent_path();  // "00001000/"
  const std::string name = folder.filename().string();
  const CheckpointStore store(
      folder.has_parent_path() ? folder.parent_path() : fs::path("."), 1, 0);
  for (const Round round : store.rounds()) {
    if (fmt::format("{:08}", round.value) != name) continue;
    const auto state = store.load(round);
    if (!state) return state.error();
    return fmt::format("{}: {} checkpoint of round {}, sound\n",
                       shown(folder.string()),
                       is_of_server(state->meta) ? "a server's" : "a peer's",
                       count_words(round.value)) +
           state_text(*state);
  }
  return cannot(folder.string() +
                " is not a checkpoint's folder: that is named by its round, "
                "as checkpoints/00001000");
}

Result<std::string> inspect_run(const fs::path& run) {
  const CheckpointStore store(run / "checkpoints", 1, 0);
  const std::vector<Round> rounds = store.rounds();
  std::string text =
      fmt::format("{}: the folder of a run, with {}\n", shown(run.string()),
                  plural(rounds.size(), "checkpoint"));
  Rows rows;
  std::optional<SavedState> newest;
  for (auto round = rounds.rbegin(); round != rounds.rend(); ++round) {
    std::string how = "not looked into";
    if (!newest) {
      auto state = store.load(*round);
      how = state ? "sound" : "DAMAGED: " + shown(state.error().message);
      if (state) newest = std::move(*state);
    }
    rows.push_back({"round " + count_words(round->value), how});
  }
  text += table_text(rows);
  if (!newest) {
    if (rounds.empty())
      return text + "it was ended before it saved one, or has not begun\n";
    return cannot(text +
                  "none of its checkpoints is sound: restore one from a "
                  "backup, or begin another run");
  }
  text += fmt::format("\nRound {}\n", count_words(newest->round.value));
  return text + state_text(*newest);
}

}  // namespace

Result<std::string> inspect(const fs::path& path) {
  std::error_code error;
  const auto is_there = [&](const char* name) {
    return fs::exists(path / name, error);
  };
  if (!fs::exists(path, error))
    return cannot(path.string() + " does not exist");
  if (!fs::is_directory(path, error)) return inspect_file(path);
  if (is_there("config.ini") || is_there("checkpoints"))
    return inspect_run(path);
  return inspect_checkpoint(path);
}

}  // namespace mdgan
