// How the pictures of a run are laid out.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace mdgan {

struct SampleGrid {
  std::uint32_t columns = 1;
  std::vector<std::string> names;  // of the columns' classes, or none
};

// A grid of about `columns` columns of images whose classes follow each other
// as `in_turn` (empty: they have none). Where that is possible each column is
// of one class, and has its name.
SampleGrid sample_grid(std::uint32_t columns,
                       std::span<const std::string> in_turn);

}  // namespace mdgan
