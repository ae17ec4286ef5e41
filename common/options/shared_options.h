// What both programs say of an option that both have.
#pragma once

#include <string_view>

#include "common/data/partition.h"
#include "common/options/options_parser.h"

namespace mdgan {

inline constexpr std::string_view kPartitionHelp =
    "How the peers share out the data; peer processes must all be given the "
    "same. iid: equal parts of the same mixture. dirichlet:ALPHA: each class "
    "by a Dirichlet distribution, the more unevenly the smaller ALPHA. "
    "classes:C: each peer holds C classes. sizes:zipf: the same mixture, in "
    "sizes "
    "proportional to 1, 1/2, 1/3.";

inline constexpr std::string_view kPrecisionHelp =
    "The number format of convolutions. bf16 is faster on processors with "
    "AVX512-BF16 or AMX, and on GPUs; weights and messages stay float32. tf32 "
    "rounds the factors of all products on a GPU, and is faster there.";

inline CustomValue partition_value(Partition* value) {
  return {std::string(kPartitionNotation), [=] { return to_text(*value); },
          [=](std::string_view text) {
            const auto parsed = parse_partition(text);
            if (parsed) *value = *parsed;
            return parsed.has_value();
          }};
}

}  // namespace mdgan
