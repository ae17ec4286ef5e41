#include "server/commands/local_data.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "common/base/words.h"
#include "common/data/class_table.h"
#include "common/evaluate/site_metrics.h"
#include "common/files/checkpoint_store.h"
#include "common/files/hash.h"
#include "protocol/algorithm.h"
#include "server/commands/make_evaluator.h"

namespace mdgan {

std::string local_name(std::uint32_t index) {
  return "local-" + std::to_string(index);
}

Result<LocalData> cut_local_data(const ServerOptions& options,
                                 const Dataset& data) {
  // Cutting may take long where there are far too many peers.
  const auto too_few = [&](std::size_t images) {
    return Error{
        fmt::format("{}: {} images cut by {} among {} leave "
                    "{} to one, fewer than a batch of {}: give fewer "
                    "--local-peers, a smaller --batch or more data",
                    options.data, data.size(), to_text(options.partition),
                    plural(options.local_peers, "local peer"), images,
                    options.batch),
        ExitCode::kData};
  };
  if (const std::size_t most = data.size() / options.local_peers;
      most < options.batch)
    return too_few(most);
  auto shards = cut_data(options.partition, data.size(), data.labels,
                         options.local_peers);
  if (!shards) return shards.error();
  for (const auto& shard : *shards)
    if (shard.size() < options.batch) return too_few(shard.size());
  std::vector<PeerClasses> peers;
  for (std::uint32_t i = 0; i < options.local_peers; ++i)
    peers.push_back(count_classes(local_name(i), i, (*shards)[i], data.labels,
                                  data.shape.classes));
  spdlog::info("{} cut by {} among {}", plural(data.size(), "image"),
               to_text(options.partition), plural(peers.size(), "peer"));
  // An i.i.d. cut's table says nothing that the line above does not.
  if (options.partition != Partition{})
    for (const std::string& line : table_lines(peers, data.class_names, true))
      spdlog::info("  {}", line);
  return LocalData{std::move(*shards),
                   {},
                   table_json(options.partition, options.local_peers, peers,
                              data.class_names)};
}

Result<std::vector<MeasureSite>> hold_out_local(const ServerOptions& options,
                                                const Blob& classifier) {
  const std::filesystem::path folder = evaluation_folder(options);
  if (!has_test_part(folder))
    return Error{folder.string() +
                     " has no test part, which the peers hold out: give a "
                     "folder that has one with --evaluate-data DIR",
                 ExitCode::kData};
  auto loaded = load_dataset(folder, DataPart::kTest, options.reading);
  if (!loaded) return loaded.error();
  const auto test = std::make_shared<const Dataset>(std::move(*loaded));
  auto shards = cut_data(options.partition, test->size(), test->labels,
                         options.local_peers);
  if (!shards) return shards.error();
  std::vector<MeasureSite> measures;
  for (std::vector<std::uint32_t>& shard : *shards) {
    if (shard.size() < kFewestHeldOut)
      return Error{
          fmt::format("{}: of {} held out {} gets {}, fewer than {}: "
                      "give fewer --local-peers",
                      folder.string(), plural(test->size(), "image"),
                      local_name(static_cast<std::uint32_t>(measures.size())),
                      shard.size(), kFewestHeldOut),
          ExitCode::kData};
    auto made = measure_site(test, std::move(shard), classifier,
                             "the run's classifier", options.device);
    if (!made) return made.error();
    measures.push_back(std::move(*made));
  }
  return measures;
}

Result<RunState> load_local_run(const ServerOptions& options,
                                const RunDirectory& directory) {
  auto newest = load_run(directory.checkpoints());
  if (!newest) return newest;
  const Round last = newest->position.completed;
  std::vector<Round> common =
      CheckpointStore(directory.checkpoints(), 1, 0).rounds();
  std::erase_if(common, [&](Round round) { return round > last; });
  const bool keeps_state = traits_of(newest->algorithm).peer_keeps_state;
  std::string lacking;  // a peer that has not saved the newest round
  for (std::uint32_t i = 0; i < options.local_peers; ++i) {
    std::vector<Round> own =
        CheckpointStore(directory.peers() / local_name(i) / to_hex(newest->run),
                        1, 0)
            .rounds();
    const bool is_new = !newest->position.names.contains(local_name(i));
    if (own.empty() && (is_new || !keeps_state)) continue;
    own.insert(own.begin(), Round{});  // that is made anew from the seed
    if (!std::ranges::binary_search(own, last)) lacking = local_name(i);
    std::erase_if(common, [&](Round round) {
      return !std::ranges::binary_search(own, round);
    });
  }
  if (lacking.empty()) return newest;
  for (; !common.empty(); common.pop_back()) {
    auto older = load_run(directory.checkpoints(), common.back());
    if (!older) continue;
    spdlog::warn(
        "{} had not saved round {} when the run was ended: goes on from round "
        "{}, of which all have a checkpoint",
        lacking, last.value, common.back().value);
    return older;
  }
  return newest;
}

}  // namespace mdgan
