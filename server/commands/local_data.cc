#include "server/commands/local_data.h"

#include <spdlog/spdlog.h>

#include "common/data/class_table.h"
#include "common/files/atomic_write.h"

namespace mdgan {

std::string local_name(std::uint32_t index) {
  return "local-" + std::to_string(index);
}

Result<Shards> cut_local_data(const ServerOptions& options,
                              const RunDirectory& directory,
                              const Dataset& data) {
  auto shards = cut_data(options.partition, data.size(), data.labels,
                         options.local_peers);
  if (!shards) return shards;
  std::vector<PeerClasses> peers;
  for (std::uint32_t i = 0; i < options.local_peers; ++i)
    peers.push_back(count_classes(local_name(i), i, (*shards)[i], data.labels,
                                  data.shape.classes));
  const auto written = atomic_write(
      directory.partition(), table_json(options.partition, options.local_peers,
                                        peers, data.class_names));
  if (!written) return written.error();
  spdlog::info("{} images cut by {} among {} peers", data.size(),
               to_text(options.partition), peers.size());
  // An i.i.d. cut's table says nothing that the line above does not.
  if (options.partition != Partition{})
    for (const std::string& line : table_lines(peers, data.class_names, true))
      spdlog::info("  {}", line);
  return shards;
}

}  // namespace mdgan
