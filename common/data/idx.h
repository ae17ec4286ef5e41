// MNIST (yann.lecun.com/exdb/mnist) and the data sets in its files' format, by
// the names that their publishers gave them: Fashion-MNIST and KMNIST have
// MNIST's; EMNIST and QMNIST their own.
#pragma once

#include <filesystem>

#include "common/base/result.h"
#include "common/data/dataset.h"

namespace mdgan {

// Whether the directory holds one of the part's two files.
bool has_idx_files(const std::filesystem::path& directory, DataPart part);

// EMNIST's images, which are stored by columns, come upright; its letters'
// labels, 1 to 26, keep these names. Fails with kData like load_dataset(), also
// where the directory holds several data sets.
Result<Dataset> load_idx(const std::filesystem::path& directory, DataPart part);

}  // namespace mdgan
