// The option --partition, which both programs have.
#pragma once

#include "common/data/partition.h"
#include "common/options/options_parser.h"

namespace mdgan {

inline CustomValue partition_value(Partition* value) {
  return {std::string(kPartitionNotation), [=] { return to_text(*value); },
          [=](std::string_view text) {
            const auto parsed = parse_partition(text);
            if (parsed) *value = *parsed;
            return parsed.has_value();
          }};
}

}  // namespace mdgan
