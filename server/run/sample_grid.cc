#include "server/run/sample_grid.h"

namespace mdgan {
namespace {

// So many times as wide a grid may become for its columns to be classes.
constexpr std::uint32_t kMostTimesAsWide = 3;

}  // namespace

SampleGrid sample_grid(std::uint32_t columns,
                       std::span<const std::string> in_turn) {
  SampleGrid grid{columns, {}};
  const auto classes = static_cast<std::uint32_t>(in_turn.size());
  if (classes < 2 || classes > kMostTimesAsWide * columns) return grid;
  grid.columns = classes > columns ? classes : classes * (columns / classes);
  for (std::uint32_t i = 0; i < grid.columns; ++i)
    grid.names.push_back(in_turn[i % classes]);
  return grid;
}

}  // namespace mdgan
