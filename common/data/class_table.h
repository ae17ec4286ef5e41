// How many images of each class the peers of a cut have: for a person to read,
// and as partition.json beside a run's or a peer's other files.
//
// Pure: no files.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/data/partition.h"

namespace mdgan {

struct PeerClasses {
  std::string name;  // the peer's
  std::uint32_t shard = 0;
  std::uint64_t images = 0;
  std::vector<std::uint64_t> counts;  // one a class; empty: no labels
};

// REQUIRES: labels is empty, or has a value in [0, classes) for every sample
// of `shard`.
PeerClasses count_classes(std::string name, std::uint32_t number,
                          std::span<const std::uint32_t> shard,
                          std::span<const std::int32_t> labels,
                          std::uint32_t classes);

// A line for each peer, the first 20, between a head and the sums over all; of
// more than 20 classes the first 20. With `all_of_data`, a last line names the
// classes that nobody holds, if there are any.
std::vector<std::string> table_lines(std::span<const PeerClasses> peers,
                                     std::span<const std::string> class_names,
                                     bool all_of_data);

// {"partition": TEXT, "shards": N, "classes": [NAME, ...], "peers": [{"name",
// "shard", "images", "counts": [...]}, ...], "images": the sum, "counts": the
// sums}, a line for each peer.
std::string table_json(const Partition& partition, std::uint32_t shards,
                       std::span<const PeerClasses> peers,
                       std::span<const std::string> class_names);

}  // namespace mdgan
