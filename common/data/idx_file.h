// One IDX file (yann.lecun.com/exdb/mnist), plain or gzipped.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "common/base/result.h"

namespace mdgan {

struct IdxImages {
  std::uint32_t count = 0;  // at least 1
  std::uint32_t height = 0;
  std::uint32_t width = 0;
  std::vector<std::uint8_t> pixels;
};

struct IdxLabels {
  std::vector<std::int64_t> values;
  // The label `i` in the file, which gzip may hold.
  std::size_t byte_of(std::size_t i) const { return header + i * stride; }
  std::size_t header = 0;
  std::size_t stride = 1;
};

// Both fail with kData like load_dataset().
Result<IdxImages> read_idx_images(const std::filesystem::path& path);

// Reads single bytes, or rows of 32-bit numbers, of which the first is the
// label, as QMNIST has them.
Result<IdxLabels> read_idx_labels(const std::filesystem::path& path);

}  // namespace mdgan
