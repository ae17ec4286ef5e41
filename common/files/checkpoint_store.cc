#include "common/files/checkpoint_store.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/files/atomic_write.h"
#include "common/files/failpoint.h"
#include "common/files/file_descriptor.h"
#include "common/files/hash.h"
#include "common/files/plain_file.h"
#include "common/files/read_file.h"
#include "common/files/safetensors.h"

namespace mdgan {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int kFormatVersion = 1;
constexpr const char* kManifest = "manifest.json";
constexpr const char* kState = "state.safetensors";
constexpr const char* kMeta = "meta.json";
constexpr std::array kContents{kState, kMeta};
constexpr std::size_t kDigits = 8;

Error failed(std::string message) {
  return {std::move(message), ExitCode::kCheckpoint};
}

std::optional<Round> round_of(const std::string& name) {
  if (name.size() < kDigits || name.size() > 19) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : name) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return Round{value};
}

// {"bytes": ..., "sha256": ...} of a file.
Result<json> describe(const fs::path& path) {
  std::error_code code;
  const std::uint64_t bytes = fs::file_size(path, code);
  if (code)
    return failed(
        fmt::format("cannot read {}: {}", path.string(), code.message()));
  const Result<Sha256> hash = sha256_of_file(path);
  if (!hash) return hash.error();
  return json{{"bytes", bytes}, {"sha256", to_hex(*hash)}};
}

// Whether the directory holds what its manifest says. Compares whole objects:
// what is unknown or missing in the manifest makes it another one.
Result<void> verify(const fs::path& directory, Round round) {
  const fs::path path = directory / kManifest;
  const Result<std::vector<std::byte>> bytes =
      read_file(path, ExitCode::kCheckpoint);
  if (!bytes) return bytes.error();
  const std::string_view text(reinterpret_cast<const char*>(bytes->data()),
                              bytes->size());
  const json manifest = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!manifest.is_object())
    return failed(fmt::format("{} is damaged", path.string()));
  if (manifest.value("format_version", json()) != kFormatVersion)
    return failed(fmt::format("{} is of another format version than {}",
                              path.string(), kFormatVersion));
  if (manifest.value("round", json()) != round.value)
    return failed(
        fmt::format("{} is not of round {}", path.string(), round.value));
  const json files = manifest.value("files", json());
  for (const char* name : kContents) {
    const Result<json> actual = describe(directory / name);
    if (!actual) return actual.error();
    if (!files.is_object() || files.value(name, json()) != *actual)
      return failed(
          fmt::format("{} is not what the manifest says; it has {} bytes",
                      (directory / name).string(), (*actual)["bytes"].dump()));
  }
  return {};
}

Result<void> write_text(const fs::path& path, std::string_view text) {
  const std::array parts{std::as_bytes(std::span(text))};
  return write_new(path, parts);
}

Result<void> write_contents(const fs::path& directory, Round round,
                            std::span<const NamedBlob> tensors,
                            std::string_view meta, bool sync) {
  const std::map<std::string, std::string> metadata{
      {"round", std::to_string(round.value)}};
  Result<void> done =
      write_safetensors(directory / kState, tensors, metadata, write_new);
  if (!done) return done;
  done = write_text(directory / kMeta, meta);
  if (!done) return done;
  json files = json::object();
  for (const char* name : kContents) {
    Result<json> description = describe(directory / name);
    if (!description) return description.error();
    files[name] = std::move(*description);
  }
  const json manifest{{"format_version", kFormatVersion},
                      {"round", round.value},
                      {"files", std::move(files)}};
  done = write_text(directory / kManifest, manifest.dump(2) + "\n");
  if (!sync) return done;
  // Together, and before the directory gets its name.
  for (const char* name : {kState, kMeta, kManifest})
    if (done) done = sync_file(directory / name);
  return done ? sync_directory(directory) : done;
}

// Puts the directory `made` in the place of `target` and removes what was
// there.
Result<void> replace_directory(const fs::path& made, const fs::path& target,
                               bool sync) {
  const bool fails = failpoint("before-rename", target);
  fs::path old = made;  // where an exchange puts the old state
  bool done = !fails && (::rename(made.c_str(), target.c_str()) == 0 ||
                         ::renameat2(AT_FDCWD, made.c_str(), AT_FDCWD,
                                     target.c_str(), RENAME_EXCHANGE) == 0);
  if (!fails && !done) {
    // Where the file system cannot exchange two names at once, a crash between
    // these two loses the old state of this round, but of no other.
    old = made.parent_path() / temporary_name("old");
    if (::rename(target.c_str(), old.c_str()) == 0) {
      done = ::rename(made.c_str(), target.c_str()) == 0;
      if (!done) ::rename(old.c_str(), target.c_str());
    }
  }
  if (!done || failpoint("after-rename", target))
    return failed(fmt::format("cannot rename {} to {}: {}", made.string(),
                              target.string(), errno_text()));
  Result<void> synced;
  if (sync) synced = sync_directory(made.parent_path());
  std::error_code ignored;
  if (synced) fs::remove_all(old, ignored);
  return synced;
}

// The rounds that have a directory, valid or not, ascending.
Result<std::vector<Round>> saved_rounds(const fs::path& directory) {
  std::vector<Round> found;
  std::error_code code;
  for (fs::directory_iterator it(directory, code), end; !code && it != end;
       it.increment(code))
    if (const auto round = round_of(it->path().filename().string()))
      found.push_back(*round);
  if (code && code != std::errc::no_such_file_or_directory)
    return failed(
        fmt::format("cannot list {}: {}", directory.string(), code.message()));
  std::ranges::sort(found);
  return found;
}

// Why a checkpoint that cannot be loaded may not be passed over for an older
// one: it may be sound, and what is saved next would take its place. Nothing
// where it is damaged.
std::optional<Error> may_be_sound(const fs::path& directory) {
  for (const char* name : {kManifest, kState, kMeta}) {
    const fs::path path = directory / name;
    // A pipe must not be waited for.
    const FileDescriptor file(
        ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!file && (errno == ENOENT || errno == ENOTDIR)) continue;
    const std::string why = file ? "" : errno_text();
    if (!file || !sha256_of_file(path))
      return failed(fmt::format(
          "{} cannot be read{}: make it readable, or put a copy in its place; "
          "to go on without this checkpoint take its folder away",
          path.string(), why.empty() ? "" : " (" + why + ")"));
  }
  const Result<std::vector<std::byte>> bytes =
      read_file(directory / kManifest, ExitCode::kCheckpoint);
  if (!bytes) return std::nullopt;
  const json manifest =
      json::parse(bytes->begin(), bytes->end(), nullptr, false);
  if (!manifest.is_object()) return std::nullopt;
  const json version = manifest.value("format_version", json());
  if (!version.is_number_unsigned() || version == kFormatVersion)
    return std::nullopt;
  return failed(fmt::format(
      "the checkpoint in {} has the format {}, and this program knows {}: go "
      "on with the version of the program that has written it; to go on "
      "without this checkpoint take its folder away",
      directory.string(), version.dump(), kFormatVersion));
}

}  // namespace

std::optional<Error> CheckpointStore::may_be_sound(Round round) const {
  return mdgan::may_be_sound(path_of(round));
}

CheckpointStore::CheckpointStore(fs::path directory, std::size_t keep_last,
                                 std::uint64_t keep_every)
    : directory_(std::move(directory)),
      keep_last_(keep_last),
      keep_every_(keep_every) {
  MDGAN_CHECK(keep_last > 0);
}

Result<void> CheckpointStore::open_for_writing() {
  if (auto made = make_directories(directory_); !made) return made;
  return check_writable({&directory_, 1});
}

// What an earlier process left half done.
void CheckpointStore::remove_stale() const {
  std::error_code code;
  std::vector<fs::path> stale;
  for (fs::directory_iterator it(directory_, code), end; !code && it != end;
       it.increment(code))
    if (it->path().filename().string().starts_with(kTemporaryPrefix))
      stale.push_back(it->path());
  for (const fs::path& path : stale) fs::remove_all(path, code);
}

Result<void> CheckpointStore::save(Round round,
                                   std::span<const NamedBlob> tensors,
                                   std::string_view meta) {
  remove_stale();
  const fs::path target = path_of(round);
  const fs::path made = directory_ / temporary_name(target.filename().string());
  if (auto there = make_directories(made); !there) return there;
  Result<void> done = write_contents(made, round, tensors, meta, sync_);
  if (done) done = replace_directory(made, target, sync_);
  if (!done) {
    std::error_code ignored;
    fs::remove_all(made, ignored);
    return done;
  }
  prune(round);
  return {};
}

bool CheckpointStore::empty() const {
  const Result<std::vector<Round>> all = saved_rounds(directory_);
  return all && all->empty();
}

std::vector<Round> CheckpointStore::rounds() const {
  Result<std::vector<Round>> all = saved_rounds(directory_);
  if (!all) {
    spdlog::warn(all.error().message);
    return {};
  }
  std::erase_if(*all, [this](Round round) {
    std::error_code ignored;
    return !fs::exists(path_of(round) / kManifest, ignored);
  });
  return *all;
}

Result<SavedState> CheckpointStore::load(Round round) const {
  const fs::path directory = path_of(round);
  const Result<void> valid = verify(directory, round);
  if (!valid) return valid.error();
  Result<SafetensorsFile> state = read_safetensors(directory / kState);
  if (!state) return state.error();
  Result<std::string> meta = this->meta(round);
  if (!meta) return meta.error();
  return SavedState{round, std::move(state->tensors), std::move(*meta)};
}

Result<std::string> CheckpointStore::meta(Round round) const {
  const Result<std::vector<std::byte>> bytes =
      read_file(path_of(round) / kMeta, ExitCode::kCheckpoint);
  if (!bytes) return bytes.error();
  return std::string(reinterpret_cast<const char*>(bytes->data()),
                     bytes->size());
}

Result<std::optional<SavedState>> CheckpointStore::load_latest() const {
  const Result<std::vector<Round>> all = saved_rounds(directory_);
  if (!all) return all.error();
  for (auto it = all->rbegin(); it != all->rend(); ++it) {
    Result<SavedState> state = load(*it);
    if (state) return std::optional(std::move(*state));
    if (auto kept = may_be_sound(*it)) return std::move(*kept);
    spdlog::warn("checkpoint of round {} cannot be used: {}", it->value,
                 state.error().message);
  }
  if (all->empty()) return std::optional<SavedState>();
  return failed(fmt::format(
      "none of the {} checkpoints in {} is valid; restore one from a backup "
      "or start a new run in another directory",
      all->size(), directory_.string()));
}

fs::path CheckpointStore::path_of(Round round) const {
  return directory_ / fmt::format("{:0{}}", round.value, kDigits);
}

void CheckpointStore::prune(Round newest) const {
  const std::vector<Round> all = rounds();
  const auto after = static_cast<std::size_t>(
      std::ranges::upper_bound(all, newest) - all.begin());
  for (std::size_t i = 0; i < all.size(); ++i) {
    const bool last = i < after && i + keep_last_ >= after;
    // The first at or after each multiple; it is still the first once those
    // that followed it are gone.
    const auto multiples = [&](std::size_t at) {
      return keep_every_ > 0 ? all[at].value / keep_every_ : 0;
    };
    const bool regular =
        i < after && multiples(i) > (i == 0 ? 0 : multiples(i - 1));
    if (last || regular || all[i] == kept_) continue;
    // Renamed first, so that a half removed one is never taken for a whole one.
    const fs::path doomed = directory_ / temporary_name("old");
    std::error_code code;
    (void)failpoint("before-remove", path_of(all[i]));
    fs::rename(path_of(all[i]), doomed, code);
    if (!code) fs::remove_all(doomed, code);
    (void)failpoint("after-remove", path_of(all[i]));
    if (code)
      spdlog::warn("cannot remove the old checkpoint of round {}: {}",
                   all[i].value, code.message());
  }
}

}  // namespace mdgan
