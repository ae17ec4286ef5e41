#include "peer/io/told_classes.h"

#include <algorithm>

namespace mdgan {

void tell_classes(const Dataset& data, std::span<const std::uint32_t> shard,
                  TellClasses tell, protocol::Hello& hello) {
  if (data.labels.empty() || data.class_names.empty() ||
      !defect_of(data.class_names).empty())
    return;
  hello.classes = data.class_names;
  if (tell == TellClasses::kNames) return;
  hello.class_counts.assign(data.class_names.size(), 0);
  for (const std::uint32_t sample : shard)
    ++hello.class_counts[static_cast<std::size_t>(data.labels[sample])];
  if (tell == TellClasses::kPresence)
    for (std::uint64_t& count : hello.class_counts)
      count = std::min<std::uint64_t>(count, 1);
}

}  // namespace mdgan
