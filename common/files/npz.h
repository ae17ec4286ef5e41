// NumPy's .npz files: ZIP archives of arrays, one .npy file each, as
// numpy.savez and numpy.savez_compressed write them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace mdgan {

struct NpzArray {
  std::vector<std::uint64_t> dims;
  std::vector<double> values;  // in C's order
};

// The array called `name`, of float32 or float64. Nothing of the file is
// trusted: sizes are checked before memory is taken, and arrays of more than
// 2^27 values are refused. Fails with kData, saying what is wrong and where.
Result<NpzArray> read_npz(const std::filesystem::path& file,
                          std::string_view name);

struct NamedArray {
  std::string name;
  NpzArray array;
};

// The bytes of a file that holds the arrays as float64, not compressed.
// REQUIRES: less than 4 GiB.
std::string npz_bytes(const std::vector<NamedArray>& arrays);

}  // namespace mdgan
