// What a peer tells the server of its labels.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include "common/data/dataset.h"
#include "protocol/messages.h"

namespace mdgan {

enum class TellClasses {
  kCounts,    // the classes' names, and how many images of each its shard has
  kPresence,  // the names, and which of them its shard has
  kNames,     // the names alone
};
inline constexpr std::array<std::pair<TellClasses, std::string_view>, 3>
    kTellClassesNames{{
        {TellClasses::kCounts, "counts"},
        {TellClasses::kPresence, "presence"},
        {TellClasses::kNames, "names"},
    }};

// Puts the names of the data's classes into `hello`, and what `tell` says of
// the shard; nothing where the data has no labels, or names that cannot be told
// (protocol/class_names.h). Costs a look at the shard.
void tell_classes(const Dataset& data, std::span<const std::uint32_t> shard,
                  TellClasses tell, protocol::Hello& hello);

}  // namespace mdgan
