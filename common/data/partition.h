// Cuts of one data set into the shards of many peers, for simulations: even or
// uneven, i.i.d. or not. A cut depends on the partition, the labels and the
// number of shards alone, never on a run's seed, so that every process that
// cuts the same data the same way gets the same shards.
//
// Pure: no files, no tensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace mdgan {

struct Partition {
  enum class Kind {
    kIid,        // equal sizes, drawn from all of the data
    kDirichlet,  // each class in shares ~ Dir(alpha) over the peers
    kClasses,    // so many classes a peer
    kSizesZipf,  // drawn from all of the data, sizes ~ 1, 1/2, 1/3, ...
  };
  Kind kind = Kind::kIid;
  double alpha = 0;           // of kDirichlet: > 0; small is uneven
  std::uint32_t classes = 0;  // of kClasses: at least 1
  bool needs_labels() const {
    return kind == Kind::kDirichlet || kind == Kind::kClasses;
  }
  friend bool operator==(const Partition&, const Partition&) = default;
};

// "iid", "dirichlet:ALPHA" with ALPHA in [0.001, 1000000], "classes:C" with C
// >= 1, or "sizes:zipf"; anything else is nothing.
inline constexpr std::string_view kPartitionNotation =
    "iid, dirichlet:ALPHA, classes:C or sizes:zipf";
std::optional<Partition> parse_partition(std::string_view text);
std::string to_text(const Partition& partition);  // parses to the same

// The samples of each shard, by their numbers.
using Shards = std::vector<std::vector<std::uint32_t>>;

// The i.i.d. cut: sizes differ by at most one. REQUIRES: count > 0; size fits
// 32 bits.
Shards cut_evenly(std::size_t size, std::uint32_t count);

// Cuts samples 0 .. size-1 into `count` shards; every sample is in exactly one,
// but for classes that nobody holds.
//   iid         as cut_evenly().
//   dirichlet   for each class p ~ Dir(alpha, ..., alpha) over the peers, and
//               peer i gets p_i of its samples (Yurochkin et al. 2019; Hsu et
//               al. 2019 draw the classes' shares for each peer instead).
//   classes:C   peer i gets the classes i*C .. i*C + C-1, counted round and
//               round over those that occur, and each class is shared out
//               evenly among its peers (after McMahan et al. 2017). With count
//               * C below the number of classes the last ones are nobody's.
//   sizes:zipf  the i.i.d. order, in sizes proportional to 1/(i+1).
// With dirichlet and sizes:zipf, a shard below kLeastSamples (or below the
// even share, if that is less) is filled up from the largest ones. Fails with
// kData: no labels (a span of any size but `size`) where they are needed, or
// an empty shard, which says why; with kConfiguration: more classes a peer than
// there are. REQUIRES: count > 0; size fits 32 bits; labels are not negative.
inline constexpr std::size_t kLeastSamples = 10;  // the paper's smaller batch
Result<Shards> cut_data(const Partition& partition, std::size_t size,
                        std::span<const std::int32_t> labels,
                        std::uint32_t count);

}  // namespace mdgan
