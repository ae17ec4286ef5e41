#include "peer/io/saved_discriminators.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "common/files/hash.h"
#include "protocol/limits.h"

namespace mdgan {
namespace {

namespace fs = std::filesystem;
using protocol::Held;

// Peers keep the checkpoints that a server, stopped at any moment, may ask for.
constexpr std::size_t kKeepLast = 3;
constexpr const char* kSwapped = "swapped";
constexpr const char* kSlots[] = {"0", "1"};

std::optional<RunId> run_of(const fs::path& folder) {
  RunId run{};
  if (!from_hex(folder.filename().string(), run)) return std::nullopt;
  return run;
}

// The checkpoint's discriminator; 0 where it names none.
DiscriminatorId discriminator_in(const CheckpointStore& store, Round round) {
  const auto meta = store.meta(round);
  if (!meta) return {};
  const auto json = nlohmann::json::parse(*meta, nullptr, false);
  const auto named = json.is_object() ? json.find("discriminator") : json.end();
  if (!json.is_object() || named == json.end() || !named->is_number_unsigned())
    return {};
  return {named->get<std::uint64_t>()};
}

std::vector<NamedBlob> tensors_of(const PeerState& state) {
  std::vector<NamedBlob> tensors{{"discriminator", state.parameters},
                                 {"adam.first_moment", state.first_moment},
                                 {"adam.second_moment", state.second_moment}};
  std::erase_if(tensors, [](const NamedBlob& t) { return t.blob.empty(); });
  return tensors;
}

}  // namespace

SavedDiscriminators::SavedDiscriminators(fs::path state, std::string peer_name,
                                         std::uint64_t keep_every)
    : state_(std::move(state)),
      peer_name_(std::move(peer_name)),
      keep_every_(keep_every) {}

std::vector<SavedDiscriminators::Store> SavedDiscriminators::stores(
    RunId run) const {
  const fs::path folder = state_ / to_hex(run);
  std::vector<Store> all{{folder, run}};
  for (const char* slot : kSlots)
    all.push_back({folder / kSwapped / slot, run});
  return all;
}

std::vector<SavedDiscriminators::Store> SavedDiscriminators::stores() const {
  std::vector<RunId> runs;
  std::error_code failure;
  for (fs::directory_iterator it(state_, failure), end; !failure && it != end;
       it.increment(failure))
    if (const auto run = run_of(it->path())) runs.push_back(*run);
  std::ranges::sort(runs);
  std::vector<Store> all;
  for (const RunId& run : runs)
    std::ranges::copy(stores(run), std::back_inserter(all));
  return all;
}

std::map<RunId, std::vector<Held>> SavedDiscriminators::by_run() const {
  std::map<RunId, std::vector<Held>> by_run;
  for (const Store& at : stores()) {
    const CheckpointStore store(at.directory, 1, 0);
    for (const Round round : store.rounds())
      if (const auto named = discriminator_in(store, round); named.value != 0)
        by_run[at.run].push_back({at.run, round, named});
  }
  return by_run;
}

std::vector<Held> SavedDiscriminators::offers() const {
  auto runs = by_run();
  for (auto& [run, all] : runs)
    std::ranges::sort(all, std::greater<>{}, &Held::round);
  std::vector<Held> offers;
  for (std::size_t i = 0, before = 1;
       offers.size() < protocol::kMaxOffers && before != offers.size(); ++i) {
    before = offers.size();
    for (const auto& [run, all] : runs)
      if (i < all.size() && offers.size() < protocol::kMaxOffers)
        offers.push_back(all[i]);
  }
  return offers;
}

std::string SavedDiscriminators::warning_of_many_runs() const {
  const std::size_t runs = by_run().size();
  if (runs <= protocol::kMaxOffers) return "";
  return state_.string() + " has checkpoints of " + std::to_string(runs) +
         " runs, and a server is offered those of " +
         std::to_string(protocol::kMaxOffers) +
         ": in one of the others this peer would start with a fresh "
         "discriminator. Remove the folders of runs that have ended.";
}

Result<SavedState> SavedDiscriminators::load(const Held& which) const {
  for (const Store& at : stores(which.run)) {
    const CheckpointStore store(at.directory, 1, 0);
    if (discriminator_in(store, which.round) == which.discriminator)
      return store.load(which.round);
  }
  return Error{"there is no checkpoint of round " +
                   std::to_string(which.round.value) + " of discriminator " +
                   std::to_string(which.discriminator.value) + " in " +
                   (state_ / to_hex(which.run)).string(),
               ExitCode::kCheckpoint};
}

std::optional<Error> SavedDiscriminators::may_be_sound(
    const Held& which) const {
  for (const Store& at : stores(which.run)) {
    const CheckpointStore store(at.directory, 1, 0);
    if (discriminator_in(store, which.round) == which.discriminator)
      return store.may_be_sound(which.round);
  }
  return std::nullopt;
}

std::string SavedDiscriminators::meta(const Held& as,
                                      const PeerState& state) const {
  return nlohmann::json{{"adam_steps", state.adam_steps},
                        {"discriminator", as.discriminator.value},
                        {"name", peer_name_}}
      .dump();
}

std::vector<NamedBlob> SavedDiscriminators::together(
    const PeerState& state, const std::vector<NamedBlob>& more) {
  std::vector<NamedBlob> tensors = tensors_of(state);
  std::ranges::copy(more, std::back_inserter(tensors));
  return tensors;
}

Result<void> SavedDiscriminators::save(const Held& as, const PeerState& state,
                                       const std::vector<NamedBlob>& history,
                                       Round keep) const {
  CheckpointStore store(state_ / to_hex(as.run), kKeepLast, keep_every_);
  store.keep(keep);
  if (auto opened = store.open_for_writing(); !opened) return opened;
  return store.save(as.round, together(state, history), meta(as, state));
}

Result<void> SavedDiscriminators::save_transfer(
    const Held& as, const PeerState& state,
    const std::vector<NamedBlob>& of_shard, DiscriminatorId in_use) const {
  const std::vector<Store> all = stores(as.run);
  const auto holds_the_one_in_use = [&](const Store& slot) {
    const CheckpointStore store(slot.directory, 1, 0);
    const auto rounds = store.rounds();
    return !rounds.empty() && discriminator_in(store, rounds.back()) == in_use;
  };
  const Store& slot = holds_the_one_in_use(all[1]) ? all[2] : all[1];
  CheckpointStore store(slot.directory, 1, 0);
  // All peers wait for it. After a power cut its hash tells what is lost.
  store.for_this_process();
  if (auto opened = store.open_for_writing(); !opened) return opened;
  return store.save(as.round, together(state, of_shard), meta(as, state));
}

Result<PeerState> peer_state_of(const SavedState& saved) {
  PeerState state;
  for (const NamedBlob& tensor : saved.tensors) {
    if (tensor.name == "discriminator") state.parameters = tensor.blob;
    if (tensor.name == "adam.first_moment") state.first_moment = tensor.blob;
    if (tensor.name == "adam.second_moment") state.second_moment = tensor.blob;
  }
  const auto meta = nlohmann::json::parse(saved.meta, nullptr, false);
  if (!meta.is_object() || !meta.contains("adam_steps") ||
      !meta["adam_steps"].is_number_unsigned())
    return Error{"the checkpoint of round " +
                     std::to_string(saved.round.value) + " names no adam_steps",
                 ExitCode::kCheckpoint};
  state.adam_steps = meta["adam_steps"].get<std::uint64_t>();
  return state;
}

}  // namespace mdgan
