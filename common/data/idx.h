// MNIST's IDX files (yann.lecun.com/exdb/mnist), plain or gzipped; also those
// of its replacements with ten classes (Fashion-MNIST, KMNIST).
#pragma once

#include <filesystem>

#include "common/base/result.h"
#include "common/data/dataset.h"

namespace mdgan {

// Whether the directory holds one of the part's two files.
bool has_idx_files(const std::filesystem::path& directory, DataPart part);

// Fails with kData like load_dataset().
Result<Dataset> load_idx(const std::filesystem::path& directory, DataPart part);

}  // namespace mdgan
